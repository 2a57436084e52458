"""The settings in serverconfig.json that vsadmin uses; a missing or invalid value becomes the game's default."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsadmin.game.disk.lenient_json import decode, loads
from vsadmin.game.exceptions import LenientJsonError
from vsadmin.game.sanitize import clean_text

FILE = "serverconfig.json"
DEFAULT_PORT = 42_420
DEFAULT_DISK_MB = 400
MAX_BYTES = 4_194_304


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of the game server; `problem` says why all of them are defaults, and is "" otherwise."""

    port: int = DEFAULT_PORT
    mod_paths: tuple[str, ...] = ()
    disabled_mods: frozenset[str] = frozenset()
    disk_needed_bytes: int = DEFAULT_DISK_MB * 1_000_000
    problem: str = ""

    def disables(self, modid: str, version: str) -> bool:
        """Whether the configuration disables the mod, by `id` or by `id@version`."""
        return bool(self.disabled_mods & {modid.lower(), f"{modid}@{version}".lower()})


def read_server_config(data_dir: Path) -> ServerConfig:
    """The configuration in the data folder; the defaults when the file is missing or unreadable."""
    path = data_dir / FILE
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            return ServerConfig(problem=f"{FILE} is not a regular file, or is larger than {MAX_BYTES:,} bytes")
        values = loads(decode(path.read_bytes()))
    except FileNotFoundError:
        return ServerConfig()
    except (OSError, LenientJsonError) as error:
        return ServerConfig(problem=f"{FILE} cannot be read: {error}"[:500])
    return _of(values) if isinstance(values, dict) else ServerConfig(problem=f"{FILE} does not contain an object")


def _of(values: dict[str, Any]) -> ServerConfig:
    world = values.get("WorldConfig")
    disabled = world.get("DisabledMods") if isinstance(world, dict) else None
    return ServerConfig(
        port=_number(values.get("Port"), DEFAULT_PORT, 65_535),
        mod_paths=_texts(values.get("ModPaths"), 1000),
        disabled_mods=frozenset(text.lower() for text in _texts(disabled, 200)),
        disk_needed_bytes=_number(values.get("DieBelowDiskSpaceMb"), DEFAULT_DISK_MB, 10**7) * 1_000_000,
    )


def _number(value: object, default: int, highest: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= highest else default


def _texts(value: object, limit: int) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(text for item in items[:1000] if isinstance(item, str) and (text := clean_text(item, limit)))
