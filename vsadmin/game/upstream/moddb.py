"""Parser of the answers of mods.vintagestory.at; an invalid item is rejected without affecting the others.

The answers give times without a time zone; they are read as UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vsadmin.game.exceptions import UpstreamUnexpected, UpstreamUnknownMod
from vsadmin.game.sanitize import Html, Url, capped, clean_text
from vsadmin.game.upstream.rejections import RejectedItems, read_item

MAX_RELEASES = 2000
NO_GAME_VERSION = "0.0.0"
"""The only tag of a release whose author ticked no game version."""


def _texts(value: object) -> list[str]:
    """A list of non-empty texts; upstream sends [""] or null for a mod without tags."""
    items = value if isinstance(value, list) else []
    return [text for item in items[:500] if isinstance(item, (str, int)) and (text := clean_text(item, 100))]


def _count(value: object) -> int:
    text = clean_text(value, 15)
    return min(int(text), 2_147_483_647) if text.isdecimal() and text.isascii() else 0


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(clean_text(value, 40))
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


Texts = Annotated[list[str], BeforeValidator(_texts)]
Count = Annotated[int, BeforeValidator(_count)]
Time = Annotated[datetime | None, BeforeValidator(_time)]
Key = Annotated[int, Field(ge=1, le=2_147_483_647)]


class ListedMod(BaseModel):
    """One mod of the mod list."""

    model_config = ConfigDict(extra="ignore")

    modid: Key
    assetid: Count = 0
    name: Annotated[str, capped(200), Field(min_length=1)]
    summary: Annotated[str, capped(500)] = ""
    modidstrs: Texts = []
    author: Annotated[str, capped(100)] = ""
    urlalias: Annotated[str, capped(100)] = ""
    side: Annotated[str, capped(20)] = ""
    type: Annotated[str, capped(20)] = ""
    tags: Texts = []
    downloads: Count = 0
    follows: Count = 0
    lastreleased: Time = None


class Release(BaseModel):
    """One release of a mod."""

    model_config = ConfigDict(extra="ignore")

    releaseid: Key
    modversion: Annotated[str, capped(40), Field(min_length=1)]
    modidstr: Annotated[str, capped(100)] = ""
    tags: Texts = []
    mainfile: Url = ""
    filename: Annotated[str, capped(255)] = ""
    created: Time = None
    changelog: Html = ""

    @property
    def game_versions(self) -> list[str]:
        return [tag for tag in self.tags if tag != NO_GAME_VERSION]


class ModDetails(BaseModel):
    """One mod with its releases."""

    model_config = ConfigDict(extra="ignore")

    modid: Key
    text: Html = ""
    homepageurl: Url = ""
    sourcecodeurl: Url = ""
    issuetrackerurl: Url = ""
    releases: list[Any] = []


def _unwrap(url: str, data: object) -> dict[str, Any]:
    """The answer as an object; its `statuscode` (a text) tells success, because the HTTP status is 200 even for errors."""
    if not isinstance(data, dict):
        raise UpstreamUnexpected(url, f"expected an object, got a {type(data).__name__}")
    code = clean_text(data.get("statuscode", "200"), 20)
    if code == "404":
        raise UpstreamUnknownMod(url, "the mod database does not have this mod")
    if code != "200":
        raise UpstreamUnexpected(url, f"answered statuscode {code}")
    return data


def parse_mod_list(url: str, data: object, rejected: RejectedItems) -> list[ListedMod]:
    """Every valid mod of the list, each once; raises UpstreamUnexpected when there is none."""
    items = _unwrap(url, data).get("mods")
    if not isinstance(items, list):
        raise UpstreamUnexpected(url, f"expected a list of mods, got a {type(items).__name__}")
    mods = {mod.modid: mod for index, item in enumerate(items) if (mod := read_item(ListedMod, item, rejected, _name(item, index)))}
    if not mods:
        raise UpstreamUnexpected(url, f"none of its {len(items)} items is a valid mod; first error: {rejected.first}")
    return list(mods.values())


def parse_mod(url: str, data: object, rejected: RejectedItems) -> tuple[ModDetails, list[Release]]:
    """A mod and its valid releases; raises UpstreamUnknownMod or UpstreamUnexpected."""
    item = _unwrap(url, data).get("mod")
    details = read_item(ModDetails, item, rejected, "mod")
    if details is None:
        raise UpstreamUnexpected(url, f"expected a mod; first error: {rejected.first}")
    found = (read_item(Release, release, rejected, _name(release, index)) for index, release in enumerate(details.releases[:MAX_RELEASES]))
    return details, list({release.releaseid: release for release in found if release}.values())


def _name(item: object, index: int) -> str:
    known = item.get("modid") or item.get("releaseid") if isinstance(item, dict) else None
    return f"item {index}" + (f" ({clean_text(known, 40)})" if known else "")
