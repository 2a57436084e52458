"""The server watch: observes the game server from its process and files, without privileges and without contacting it."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from vsadmin.game.disk.mod_folder import BUNDLED_MODS, mod_folders
from vsadmin.game.disk.server_config import FILE, ServerConfig, read_server_config
from vsadmin.game.disk.server_install import installed_version, is_installed, main_log, read_log_head
from vsadmin.game.disk.server_process import ServerProcess, find_server, is_listening
from vsadmin.game.observation import Observation, ServerState

if TYPE_CHECKING:
    from vsadmin.game.models import ServerStatus

MAX_REASONS = 5
MAX_MODS = 2000

CLOCK_SLACK = timedelta(seconds=1)
"""The kernel's boot time has whole seconds, so the start of a process may appear up to a second too early."""

STARTUP_TIME = timedelta(minutes=5)
"""The server rewrites its own configuration while it starts; such a change needs no restart."""

GAME_NOTE = "Creating_Mods.txt"
"""The game writes this file into the mod folder, which changes the modification time of the folder."""

_READY = "Dedicated server now running on Port"


def observe(data_dir: Path, server_dir: Path, before: ServerStatus | None, now: datetime) -> Observation:
    """Observe the server; `before` is the previous observation, which keeps `ready_at` while the process stays the same."""
    config = read_server_config(data_dir)
    process = find_server(data_dir, server_dir, before.pid if before else None)
    same = before if before and process and (before.pid, before.started_at) == (process.pid, process.started_at) else None
    state = _state(process, same, config, data_dir, server_dir)
    ready_at = same.ready_at if same and same.ready_at else (now if state == ServerState.RUNNING else None)
    total, free = disk_space(data_dir)
    return Observation(
        state=state,
        version=installed_version(server_dir, data_dir),
        port=config.port,
        pid=process.pid if process else None,
        started_at=process.started_at if process else None,
        ready_at=ready_at,
        pending_reasons=pending_reasons(process, ready_at, config, data_dir, server_dir) if process else [],
        disk_total_bytes=total,
        disk_free_bytes=free,
        disk_needed_bytes=config.disk_needed_bytes,
    )


def _state(process: ServerProcess | None, before: ServerStatus | None, config: ServerConfig, data_dir: Path, server_dir: Path) -> ServerState:
    """The state of the server; `before` is the previous observation of the same process, or None."""
    if process is None:
        return ServerState.STOPPED if is_installed(server_dir) else ServerState.NOT_INSTALLED
    if _is_ready(process, config, data_dir):
        return ServerState.RUNNING
    # The port was open before and is closed now, so the server is shutting down.
    return ServerState.STOPPING if before and before.ready_at else ServerState.STARTING


def _is_ready(process: ServerProcess, config: ServerConfig, data_dir: Path) -> bool:
    listening = is_listening(process.pid, config.port)
    if listening is not None:
        return listening
    log = main_log(data_dir)
    return _changed_at(log) > process.started_at - CLOCK_SLACK and _READY in read_log_head(log)


def pending_reasons(process: ServerProcess, ready_at: datetime | None, config: ServerConfig, data_dir: Path, server_dir: Path) -> list[str]:
    """The changed files that take effect only at the next start of the server, at most five."""
    since = process.started_at + CLOCK_SLACK
    settled_at = min(ready_at or since + STARTUP_TIME, since + STARTUP_TIME)
    reasons = [FILE] if _changed_at(data_dir / FILE) > settled_at else []
    for folder in mod_folders(data_dir, server_dir, config):
        reasons += _changed_mods(folder, since)
    return reasons[:MAX_REASONS]


def _changed_mods(folder: Path, since: datetime) -> list[str]:
    changed, seen, note_at = [], 0, datetime.min.replace(tzinfo=UTC)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                seen += 1
                at = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                if entry.name == GAME_NOTE:
                    note_at = at
                elif at > since and entry.name.lower() not in BUNDLED_MODS and seen <= MAX_MODS:
                    changed.append(f"{folder.name}/{entry.name}"[:200])
    except OSError:
        return sorted(changed)
    if not changed and _changed_at(folder) > max(since, note_at + CLOCK_SLACK):
        changed.append(f"{folder.name}/")  # a file was removed, or added with an old modification time
    return sorted(changed)


def _changed_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def disk_space(data_dir: Path) -> tuple[int | None, int | None]:
    """Total and free bytes of the file system of the data folder, which need not exist; (None, None) when unknown."""
    for folder in (data_dir, *data_dir.parents):
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue
        return usage.total, usage.free
    return None, None
