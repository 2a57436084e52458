"""The data of the simulated services: invented samples in the real formats."""

from __future__ import annotations

import json
import threading
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
PAGES = {"DeepForge": 7030, "lanternoil": 7037, "quernstone": 7023, "serverbell": 7036, "stoneovens": 7035, "wayfarerschest": 7034, "7033": 7033}
RELEASED = "2026-11-21 08:00:00"


@cache
def _text(name: str) -> str:
    return (DATA / f"{name}.json").read_text(encoding="utf-8")


def _load(name: str) -> Any:
    return json.loads(_text(name))


class Library:
    """The data of both services; `release_next_version` and `update_mod` simulate upstream releases."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stable: dict[str, Any] = _load("stable")
        self.unstable: dict[str, Any] = _load("unstable")
        self.mods: list[dict[str, Any]] = _load("mods")["mods"]
        self.pages: dict[int, dict[str, Any]] = {number: _load(f"mod_{name}")["mod"] for name, number in PAGES.items()}

    def release_next_version(self) -> None:
        """Add the next stable version to the feed."""
        self.stable = _load("stable_next")

    def update_mod(self, identifier: str) -> str:
        """Add a release of the mod for the four newest stable versions; returns the version of the release."""
        with self._lock:
            page = self.page(identifier)
            if page is None:
                raise KeyError(identifier)
            newest = max((release for release in page["releases"] if release["modidstr"] == identifier), key=_number)
            major, minor = _number(newest)[:2]
            version = f"{major}.{minor + 1}.0"
            page["releases"].insert(0, _release(identifier, version, 90_000 + sum(len(known["releases"]) for known in self.pages.values()), list(self.stable)[:4]))
            for mod in self.mods:
                if mod["modid"] == page["modid"]:
                    mod["lastreleased"] = RELEASED
            return version

    def page(self, key: str) -> dict[str, Any] | None:
        """The page of a mod by number or identifier; like the real service, it does not accept the alias in the mod's address."""
        listed = next((mod for mod in self.mods if key == str(mod["modid"]) or key.lower() in map(str.lower, mod["modidstrs"])), None)
        return None if listed is None else self.pages.setdefault(listed["modid"], _plain_page(listed))

    def releases(self, identifier: str) -> list[dict[str, Any]]:
        page = self.page(identifier)
        return [release for release in page["releases"] if release["modidstr"] == identifier] if page else []

    @property
    def tags(self) -> Any:
        return _load("tags")

    @property
    def game_versions(self) -> Any:
        return _load("gameversions")


def _number(release: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in release["modversion"].split("-")[0].split("."))


def _plain_page(listed: dict[str, Any]) -> dict[str, Any]:
    """A generated page for a mod without a sample file: one release for each identifier, ticked for the newest versions."""
    releases = [_release(name, "1.0.0", listed["modid"] * 10 + index, ["1.22.6", "1.22.7"]) for index, name in enumerate(listed["modidstrs"])]
    for release in releases:
        release["created"] = listed["lastreleased"] or RELEASED
    return listed | {
        "text": f"<p>{listed['summary']}</p>",
        "homepageurl": "",
        "sourcecodeurl": "",
        "issuetrackerurl": "",
        "releases": releases,
        "screenshots": [],
    }


def _release(identifier: str, version: str, number: int, game_versions: list[str]) -> dict[str, Any]:
    filename = f"{identifier}_{version}.zip"
    return {
        "releaseid": number,
        "mainfile": f"https://moddbcdn.vintagestory.at/{number}_{filename}?dl={filename}",
        "filename": filename,
        "fileid": number,
        "downloads": 1,
        "tags": game_versions,
        "modidstr": identifier,
        "modversion": version,
        "created": RELEASED,
        "changelog": "<ul><li>Better in every way</li></ul>",
    }
