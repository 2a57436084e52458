"""Parser of the version feeds of api.vintagestory.at; an invalid item is rejected without affecting the others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vsadmin.game.exceptions import UpstreamUnexpected
from vsadmin.game.rules.versions import MAX_LENGTH, BadVersion, Version, parse_game_version
from vsadmin.game.sanitize import Url, capped
from vsadmin.game.upstream.rejections import RejectedItems, read_item

MAX_VERSIONS = 5000

SERVER_PLATFORMS: dict[str, Literal["linux", "windows"]] = {"server": "linux", "linuxserver": "linux", "windowsserver": "windows"}
"""The feed's keys of server builds, by increasing priority; old versions call the Linux build `server`."""


def _md5(value: str) -> str:
    # A wrong checksum misleads more than a missing one.
    return value.lower() if len(value) == 32 and not value.lower().strip("0123456789abcdef") else ""


class FileUrls(BaseModel):
    """The download addresses of a file: for everybody (`cdn`) and for customers of the game (`local`)."""

    model_config = ConfigDict(extra="ignore")

    cdn: Url = ""
    local: Url = ""


class FeedFile(BaseModel):
    """One file of one version."""

    model_config = ConfigDict(extra="ignore")

    filename: Annotated[str, capped(255), Field(min_length=1)]
    filesize: Annotated[str, capped(40)] = ""
    md5: Annotated[str, capped(64), AfterValidator(_md5)] = ""
    urls: FileUrls = FileUrls()
    latest: object = None

    @property
    def is_flagged(self) -> bool:
        """Whether the feed marks this file as the latest: 1 in practice, true in old documents, else 0 or absent."""
        return self.latest in {1, "1", "true"} if isinstance(self.latest, (int, str)) else False


class FeedVersion(BaseModel):
    """One version of the feed with its server builds by platform; `files` is empty for a client-only version."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    text: str
    parsed: Version
    files: dict[str, FeedFile]
    is_flagged: bool


def parse_feed(url: str, data: object, rejected: RejectedItems) -> list[FeedVersion]:
    """The versions in a feed, highest first; invalid versions and files are added to `rejected`.

    Raises UpstreamUnexpected when `data` is not an object or has only invalid versions; `{}` is an empty channel.
    """
    if not isinstance(data, dict):
        raise UpstreamUnexpected(url, f"expected an object of versions, got a {type(data).__name__}")
    versions = [version for text, platforms in list(data.items())[:MAX_VERSIONS] if (version := _version(text, platforms, rejected))]
    if data and not versions:
        raise UpstreamUnexpected(url, f"none of its {len(data)} items is a valid version; first error: {rejected.first}")
    return sorted(versions, key=lambda version: version.parsed, reverse=True)


def _version(text: str, platforms: Any, rejected: RejectedItems) -> FeedVersion | None:
    try:
        parsed = parse_game_version(text)
    except BadVersion as error:
        rejected.add(text[:MAX_LENGTH], str(error))
        return None
    if not isinstance(platforms, dict):
        rejected.add(text, f"expected an object of platforms, got a {type(platforms).__name__}")
        return None
    files: dict[str, FeedFile] = {}
    for name, platform in SERVER_PLATFORMS.items():
        if name in platforms and (file := read_item(FeedFile, platforms[name], rejected, f"{text} {name}")):
            files[platform] = file
    return FeedVersion(text=text, parsed=parsed, files=files, is_flagged=any(file.is_flagged for file in files.values()))
