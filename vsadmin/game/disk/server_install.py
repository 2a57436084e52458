"""The game server's install folder and main log: whether the server is installed, and which version it has."""

from __future__ import annotations

import re
from pathlib import Path

from vsadmin.game.disk.server_process import PROGRAM, PROGRAMS
from vsadmin.game.rules.versions import parse_game_version, read_game_version

LOG_BYTES = 65_536
"""How much of the main log is read: the version and the ready line are near its beginning."""

_VERSION_FILE = re.compile(r"version-(.+)\.txt")
_LOGGED_VERSION = re.compile(r"Game Version: v?([0-9][\w.-]*)")


def is_installed(server_dir: Path) -> bool:
    return any((server_dir / name).exists() for name in (*PROGRAMS, f"{PROGRAM}.runtimeconfig.json"))


def installed_version(server_dir: Path, data_dir: Path) -> str:
    """The version in the name of `assets/version-*.txt`, else the version in the server's main log, else ""."""
    try:
        names = [path.name for path in (server_dir / "assets").iterdir()]
    except OSError:
        names = []
    marked = [match[1] for name in names if (match := _VERSION_FILE.fullmatch(name)) and read_game_version(match[1])]
    if marked:
        return max(marked, key=parse_game_version)
    logged = _LOGGED_VERSION.search(read_log_head(main_log(data_dir)))
    return logged[1] if logged and read_game_version(logged[1]) else ""


def main_log(data_dir: Path) -> Path:
    return data_dir / "Logs" / "server-main.log"


def read_log_head(path: Path) -> str:
    """The first 64 kB of a log file; "" when it does not exist or cannot be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(LOG_BYTES).decode(errors="replace")
    except OSError:
        return ""
