"""A small file system, for tests of a full disk."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_file_system(megabytes: int) -> Iterator[Path]:
    """A folder on its own file system; skips the test if mounting is not allowed."""
    folder = Path(tempfile.mkdtemp(prefix="vsadmin-disk-", dir="/tmp"))
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"no small file system: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(filler: Path) -> None:
    """Write until nothing more fits."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
