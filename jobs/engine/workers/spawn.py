"""Starts the processes that execute runs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from jobs.clock import Clock
from jobs.engine.pools import PROCESSES
from jobs.engine.run import ClaimedRun
from jobs.engine.workers import child, dedicated
from jobs.engine.workers.fork_server import start_process
from jobs.engine.workers.handle import WorkerHandle
from jobs.engine.workers.starts import make_table
from jobs.engine.workers.wire import frame_of_run


def start_worker(threads: int, loop_slots: int) -> WorkerHandle:
    """Start a worker for many runs; it says when it is ready.  Raises OSError."""
    starts, memory, lock = make_table()
    with memory:
        handle = _start(child.main, threads, memory, lock, name="worker", threads=threads, loop_slots=loop_slots)
    handle.starts = starts
    return handle


def start_dedicated(run: ClaimedRun, clock: Clock) -> WorkerHandle:
    """Start a process for one run.  Raises OSError."""
    handle = _start(dedicated.main, frame_of_run(run), *clock.anchor, name="job", threads=1, loop_slots=1)
    handle.dedicated = True
    run.submitted_monotonic = time.monotonic()
    handle.in_flight[PROCESSES][run.id] = run
    return handle


def _start(target: Callable[..., None], *arguments: Any, name: str, threads: int, loop_slots: int) -> WorkerHandle:
    ours, theirs = socket.socketpair()
    stacks, their_stacks = socket.socketpair()
    with theirs, their_stacks:
        process = start_process(target, theirs, their_stacks, *arguments, name=name)
    for each in (ours, stacks):
        each.setblocking(False)  # noqa: FBT003 -- its only parameter
    return WorkerHandle(process, ours, stacks, threads, loop_slots)
