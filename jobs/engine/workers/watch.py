"""What a supervisor does about one worker, a few times a second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime

from jobs.engine.executors.base import RunExecutor
from jobs.engine.workers.ends import given_up
from jobs.engine.workers.handle import WorkerHandle
from jobs.engine.workers.limits import is_over_time, kill_at
from jobs.models import Status

ANSWER_SECONDS = 1.0
"""A worker that has not answered for longer is killed instead of asked to end."""


def keep_in_touch(handle: WorkerHandle, anchor: tuple[datetime, float]) -> None:
    """Tell a worker when the scheduler's clock was set, and ask whether it answers while it has runs."""
    if not handle.ready:
        return
    if anchor != handle.sent_anchor:
        handle.sent_anchor = anchor
        handle.post({"clock": anchor})
    elif not handle.is_idle:
        handle.ping()


def enforce_limits(handle: WorkerHandle, pools: Mapping[str, RunExecutor], now: datetime) -> None:
    """Stop runs in processes of their own at their time limit; kill a worker that does not end a run by itself."""
    for run in handle.runs:
        if handle.dedicated and run.stop_reason is None and is_over_time(run):
            pools[run.pool].stop(run.id, Status.TIMED_OUT)
        elif (limit := kill_at(handle, run)) is not None and time.monotonic() > limit and handle.pop(run.id) is not None:
            pools[run.pool].ended(run, given_up(run, now))
            handle.drain(0.0, f"run {run.id} of {run.function} did not stop")
            handle.kill()


def end_drained(handle: WorkerHandle) -> None:
    """End a worker that is to be replaced, when it is idle or its time is up."""
    if handle.drain_until is None or not (handle.is_idle or time.monotonic() > handle.drain_until):
        return
    if handle.is_idle and not handle.stuck and handle.silent_seconds < ANSWER_SECONDS:
        handle.ask_to_end()
    else:
        handle.kill()
