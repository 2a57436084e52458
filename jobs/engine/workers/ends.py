"""The outcomes of runs that their worker did not report."""

from __future__ import annotations

from datetime import datetime

import structlog

from jobs.engine.execute import failed, stopped
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.engine.workers.handle import WorkerHandle
from jobs.models import Status

log = structlog.get_logger()


def given_up(run: ClaimedRun, now: datetime, problem: str = "") -> FinishedRun:
    """A run that did not stop, or whose process could not be started."""
    if problem:
        return failed(run, now, problem)
    if run.stop_reason is None and run.timeout_seconds is not None:
        run.stop_reason = Status.TIMED_OUT
    if run.stop_reason is None:
        return failed(run, now, "its process did not start the function in time")
    return stopped(run, now, run.stop_reason, "it did not stop when it was asked to, and its process was killed")


def abandoned(run: ClaimedRun, now: datetime, handle: WorkerHandle) -> FinishedRun:
    """A run whose process ended before it did: asked to stop, failed in a process of its own, or else abandoned."""
    if run.stop_reason is not None:
        return stopped(run, now, run.stop_reason)
    reason = f"its worker process ended with {handle.exit_text}"
    if handle.drain_reason:
        reason += f", because {handle.drain_reason}"
    if handle.dedicated:
        return failed(run, now, f"its process ended without an outcome, with {handle.exit_text}")
    log.warning("job_runs_abandoned", job=run.job_id, runs=[run.id], abandoned=1, function=run.function, reason=reason)
    return run.finish(Status.ABANDONED, now, reason=reason)
