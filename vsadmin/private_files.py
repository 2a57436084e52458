"""Keeps the SQLite database and its folder from other users of the machine: they hold password hashes and sessions."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SUFFIXES = ("", "-wal", "-shm", "-journal")
OTHERS = 0o077


def private_folder(path: Path) -> None:
    """Make the folder with mode 0700, or tighten it if it is ours."""
    path.mkdir(mode=0o700, exist_ok=True)
    _tighten(path)


def private_database(path: Path) -> None:
    """Make the file with mode 0600 before SQLite makes it, and tighten an existing one.

    SQLite gives its `-wal` and `-shm` files the mode of the database.
    """
    # Only a new file is opened: closing one that this process uses would release SQLite's locks.
    with suppress(OSError):  # it exists, or its folder is missing or read-only, which the connection reports
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    for file in _files(path):
        _tighten(file)


def open_to_others(path: Path) -> list[Path]:
    """The files of this database that other users may read or write."""
    return [file for file in _files(path) if file.exists() and file.stat().st_mode & OTHERS]


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in SUFFIXES]


def _tighten(path: Path) -> None:
    with suppress(OSError):  # it is missing, or another user's: the system check names it
        mode = path.stat().st_mode
        if mode & OTHERS:
            path.chmod(mode & 0o7700)
