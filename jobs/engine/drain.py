"""The end of a scheduler: release what never started, let the rest complete, record it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog
from django.db import DatabaseError, InterfaceError

from jobs.clock import Clock
from jobs.engine.executors import RunExecutor
from jobs.engine.heartbeat import Heartbeat
from jobs.engine.instance import Instance
from jobs.engine.liveness import Liveness
from jobs.engine.notifier import Notifier
from jobs.engine.reaper import settle_runs_of
from jobs.engine.recorder import Recorder
from jobs.engine.statements import Statements

log = structlog.get_logger()

STEP_SECONDS = 1.0
"""How long a step waits for a database lock; other writes wait up to 20 s."""


class StoppedScheduler(Protocol):
    """What a drain needs of a scheduler that claims nothing any more."""

    drain_seconds: float
    stopped_at: float
    clock: Clock
    heartbeat: Heartbeat
    instance: Instance
    notifier: Notifier
    recorder: Recorder
    statements: Statements
    liveness: Liveness

    @property
    def pools(self) -> dict[str, RunExecutor]: ...

    @property
    def running_runs(self) -> int: ...

    def check_pools(self) -> None: ...

    def rest(self, seconds: float) -> None: ...

    def kill_processes(self) -> None: ...

    def end_life_cycle(self) -> None: ...


class Drain:
    """The steps of the end, in order.  What still runs at the deadline is abandoned."""

    def __init__(self, scheduler: StoppedScheduler) -> None:
        self._scheduler = scheduler
        self._deadline = scheduler.stopped_at + scheduler.drain_seconds

    def run(self) -> None:
        scheduler = self._scheduler
        scheduler.recorder.promoting = False
        self._attempt(self._release)
        self._let_runs_complete()
        left = scheduler.running_runs
        unwritten = scheduler.recorder.close(timeout=max(1.0, self._deadline - time.monotonic()))
        self._attempt(self._abandon_rest)
        scheduler.notifier.stop()
        scheduler.kill_processes()
        scheduler.end_life_cycle()
        self._attempt(scheduler.instance.deregister)
        log.info("scheduler_stopped", instance=scheduler.instance.id, abandoned=left, unwritten=len(unwritten))

    def _let_runs_complete(self) -> None:
        scheduler = self._scheduler
        while time.monotonic() < self._deadline and (scheduler.running_runs or not scheduler.recorder.idle):
            scheduler.check_pools()
            scheduler.rest(0.02)
            if scheduler.heartbeat.is_due:
                scheduler.heartbeat.postpone()  # also when it fails
                self._attempt(scheduler.liveness.beat)

    def _release(self) -> None:
        scheduler = self._scheduler
        scheduler.instance.mark_stopping()
        for executor in scheduler.pools.values():
            executor.buffered.clear()
        scheduler.instance.release_queued(scheduler.clock.now())

    def _abandon_rest(self) -> None:
        scheduler = self._scheduler
        reason = f"it was still running {scheduler.drain_seconds:g} s after its scheduler was told to stop"
        settle_runs_of([scheduler.instance.id], scheduler.clock.now(), reason)

    def _attempt(self, step: Callable[[], object]) -> None:
        """Take a step; when the database is gone or locked, leave it to the reaper of another instance."""
        statements = self._scheduler.statements
        try:
            with statements.exclusive(STEP_SECONDS):
                try:
                    statements.wait_at_most(STEP_SECONDS)
                    step()
                except (DatabaseError, InterfaceError) as error:
                    statements.drop_connection(error)
                    raise
        except (DatabaseError, InterfaceError) as error:
            log.warning("scheduler_end_incomplete", step=step.__name__.lstrip("_"), error=str(error))
