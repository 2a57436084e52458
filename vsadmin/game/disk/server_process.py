"""Finds the game server's process from data that every user of the machine may read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath

import psutil

PROGRAM = "VintagestoryServer"
PROGRAMS = {PROGRAM, f"{PROGRAM}.exe", f"{PROGRAM}.dll"}
RUNTIMES = {"dotnet", "dotnet.exe", "mono"}
PROCESS_ERRORS = (psutil.NoSuchProcess, psutil.AccessDenied, OSError)


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running game server."""

    pid: int
    started_at: datetime


def find_server(data_dir: Path, server_dir: Path, last_pid: int | None = None) -> ServerProcess | None:
    """The process of this server, or None; `last_pid` is checked first, which avoids a scan of all processes."""
    if last_pid is not None and (found := _server_with_pid(last_pid, data_dir, server_dir)):
        return found
    return next((found for pid in psutil.pids() if _may_be_server(pid) and (found := _server_with_pid(pid, data_dir, server_dir))), None)


def _may_be_server(pid: int) -> bool:
    """A cheap filter: it runs for every process on the machine every ten seconds."""
    if not psutil.LINUX:
        return True
    try:
        return PROGRAM.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except PermissionError:
        return True
    except OSError:
        return False


def _server_with_pid(pid: int, data_dir: Path, server_dir: Path) -> ServerProcess | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if _is_server(process, data_dir, server_dir) and process.status() != psutil.STATUS_ZOMBIE:
                return ServerProcess(pid, datetime.fromtimestamp(process.create_time(), UTC))
    except PROCESS_ERRORS:
        return None
    return None


def _is_server(process: psutil.Process, data_dir: Path, server_dir: Path) -> bool:
    try:
        arguments = process.cmdline()
    except psutil.AccessDenied:
        # The machine hides command lines of other users: compare the name, which Linux cuts at 15 characters.
        return process.name() in {PROGRAM, PROGRAM[:15], f"{PROGRAM}.exe"}
    program = program_of(arguments)
    return program is not None and _is_ours(process, arguments, PurePath(program), data_dir, server_dir)


def program_of(arguments: Sequence[str]) -> str | None:
    """The game server program that a command line runs; None when it is only an argument, as for an editor or `screen`."""
    if not arguments:
        return None
    if PurePath(arguments[0]).name in PROGRAMS:
        return arguments[0]
    if PurePath(arguments[0]).name in RUNTIMES:
        return next((argument for argument in arguments[1:5] if PurePath(argument).name in PROGRAMS), None)
    return None


def data_path_of(arguments: Sequence[str]) -> str | None:
    """The value of `--dataPath` in a command line, or None."""
    for index, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name.lower() == "--datapath":
            return value or next(iter(arguments[index + 1 : index + 2]), None)
    return None


def _is_ours(process: psutil.Process, arguments: Sequence[str], program: PurePath, data_dir: Path, server_dir: Path) -> bool:
    """Tell servers on the same machine apart: by `--dataPath`, else by the install folder."""
    named = data_path_of(arguments)
    folder = named if named is not None else str(program.parent)
    wanted = data_dir if named is not None else server_dir
    if not Path(folder).is_absolute():
        try:
            folder = str(Path(process.cwd()) / folder)
        except PROCESS_ERRORS:
            return True  # the working folder is not readable, so it cannot exclude the process
    return os.path.realpath(folder) == os.path.realpath(wanted)


def is_listening(pid: int, port: int) -> bool | None:
    """Whether the TCP port has a listener in the network namespace of the process; None when the system does not show it."""
    wanted, tables = f":{port:04X}", 0
    for name in ("tcp", "tcp6"):
        for folder in (Path(f"/proc/{pid}/net"), Path("/proc/net")):
            try:
                lines = (folder / name).read_text(encoding="ascii").splitlines()[1:]
            except OSError:
                continue
            tables += 1
            if any(fields[1].endswith(wanted) and fields[3] == "0A" for line in lines if len(fields := line.split()) > 3):
                return True
            break
    return False if tables else None
