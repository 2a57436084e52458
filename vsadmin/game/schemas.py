"""Request and response schemas of the game's API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from jobs.api.envelope import one_of
from vsadmin.game.models import GameVersion


class VersionsQuery(Schema):
    model_config = ConfigDict(extra="forbid")

    channel: Literal["stable", "unstable"] | None = None


class ModsQuery(Schema):
    model_config = ConfigDict(extra="forbid")

    search: Annotated[str, Field(max_length=100)] = ""
    updates_only: bool = False
    limit: Annotated[int, Field(ge=1, le=200)] = 200
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class VersionOut(Schema):
    """A game version with its server build; the fields of the file are null when the version has no server build."""

    version: str
    channel: Annotated[str, one_of("stable", "unstable")]
    filename: str | None
    filesize: str | None
    md5: str | None
    cdn_url: str | None
    local_url: str | None
    is_latest: bool
    first_seen_at: datetime

    @classmethod
    def of(cls, version: GameVersion) -> VersionOut:
        file = version.server_file
        return cls(
            version=version.version,
            channel=version.channel,
            filename=file.filename if file else None,
            filesize=(file.filesize or None) if file else None,
            md5=(file.md5 or None) if file else None,
            cdn_url=(file.cdn_url or None) if file else None,
            local_url=(file.local_url or None) if file else None,
            is_latest=version.is_latest,
            first_seen_at=version.first_seen_at,
        )


class ModOut(Schema):
    """An installed mod; `problem` says why the package is unreadable or not loaded, and is null otherwise."""

    modid: str
    name: str
    version: str
    authors: list[str]
    side: Annotated[str, one_of("universal", "client", "server")]
    file: str
    enabled: bool
    problem: str | None
    latest_version: str | None
    latest_compatible_version: str | None
    update_available: bool
    compatibility: Literal["compatible", "not_verified", "incompatible", "unknown"]
    url: str | None
    checked_at: datetime | None

    @staticmethod
    def resolve_latest_version(mod: object) -> str | None:
        return getattr(mod, "latest_version", None) or None

    @staticmethod
    def resolve_latest_compatible_version(mod: object) -> str | None:
        return getattr(mod, "latest_compatible_version", None) or None

    @staticmethod
    def resolve_url(mod: object) -> str | None:
        return getattr(mod, "url", None) or None


class DiskSpaceOut(Schema):
    """The file system of the data folder; `low` when less is free than the limit at which the game server stops itself."""

    total_bytes: int
    used_bytes: int
    free_bytes: int
    free_percent: float
    low: bool


class ServerOut(Schema):
    """The game server as observed at `checked_at`."""

    state: Literal["not_installed", "stopped", "starting", "running", "stopping"]
    version: str | None
    uptime_seconds: int | None
    port: int | None
    pending_restart: bool
    pending_reasons: list[str]
    available_stable_version: str | None
    available_unstable_version: str | None
    version_last_checked: datetime | None
    disk_space: DiskSpaceOut | None
    checked_at: datetime | None


class CachedAt(Schema):
    """The time of each channel's last successful check; null before the first one."""

    stable: datetime | None
    unstable: datetime | None


class VersionsData(Schema):
    versions: list[VersionOut]
    total: int
    cached_at: CachedAt


class VersionData(Schema):
    version: VersionOut


class ModsData(Schema):
    mods: list[ModOut]
    total: int
    next: str | None
    cached_at: datetime | None


class Versions(Schema):
    status: Literal["ok"] = "ok"
    data: VersionsData


class OneVersion(Schema):
    status: Literal["ok"] = "ok"
    data: VersionData


class Mods(Schema):
    status: Literal["ok"] = "ok"
    data: ModsData


class Server(Schema):
    status: Literal["ok"] = "ok"
    data: ServerOut
