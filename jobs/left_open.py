"""What importing the apps has started that does not survive a fork: threads and database connections.

Workers are forked from a process that has imported everything, so that they start in milliseconds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

by_jobs_modules: list[str] = []
"""What the import of the apps' `jobs` modules has started."""

before_fork: list[str] = []
"""What the fork server had open when it was ready."""


def note_before_fork() -> None:
    before_fork.extend(_open_now())


@contextmanager
def noting_imports() -> Iterator[None]:
    """Note what the imports in the block start."""
    before = _open_now()
    yield
    by_jobs_modules.extend(name for name in _open_now() if name not in before)


def _open_now() -> list[str]:
    threads = [f"the thread {thread.name!r}" for thread in threading.enumerate() if thread is not threading.main_thread()]
    opened = [f"the database connection {each.alias!r}" for each in connections.all(initialized_only=True) if each.connection is not None]
    return threads + opened
