"""Which of a worker's runs have started: memory that the worker shares with its scheduler.

A run may be taken back from a worker that does not answer, or that has died, exactly if it has not started there.  A
message could not tell: the worker cannot send any while a job function holds its interpreter.  So both sides use a
table of run ids, and a lock between processes that makes "started" and "taken back" exclude each other.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock

SLOTS = 4096
"""Runs that a worker can have at a time; a scheduler gives it far fewer."""

SIZE = 8 * SLOTS


class StartTable:
    """Run ids by slot; a run that has started, or was taken back, has left its slot."""

    def __init__(self, descriptor: int, lock: Lock) -> None:
        self._memory = mmap.mmap(descriptor, SIZE)
        self._ids = memoryview(self._memory).cast("q")
        self._lock = lock

    def offer(self, slot: int, run_id: int) -> None:
        """Put a run where the worker will look for it; call it before the run is sent."""
        self._ids[slot] = run_id

    def start(self, slot: int, run_id: int) -> bool:
        """Mark a run as started, in the worker; False when it was taken back."""
        with self._lock:
            if self._ids[slot] != run_id:
                return False
            self._ids[slot] = -run_id
            return True

    def has_started(self, slot: int, run_id: int) -> bool:
        return bool(self._ids[slot] == -run_id)

    @contextmanager
    def taking_back(self) -> Iterator[bool]:
        """Keep the worker from starting runs for the length of the block; False when it is just starting one."""
        taken = self._lock.acquire(block=False)
        try:
            yield taken
        finally:
            if taken:
                self._lock.release()

    def take_back(self, slot: int, run_id: int) -> bool:
        """Take a run back that has not started; False when it has.  Call it inside `taking_back`, or when the worker is dead."""
        if self._ids[slot] != run_id:
            return False
        self._ids[slot] = 0
        return True

    def close(self) -> None:
        self._ids.release()
        self._memory.close()


def make_table() -> tuple[StartTable, Connection, Lock]:
    """A new table, and what its worker needs to open it: arguments of the process."""
    descriptor = os.memfd_create("jobs-starts")
    os.ftruncate(descriptor, SIZE)
    lock = multiprocessing.get_context("forkserver").Lock()
    return StartTable(descriptor, lock), Connection(descriptor), lock
