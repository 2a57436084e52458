"""Signs of life: what a scheduler writes of itself, whether its threads live, and a new start when it was taken for dead."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections

from jobs.engine.backoff import Backoff
from jobs.engine.dispatcher import Dispatcher
from jobs.engine.exceptions import RowLost
from jobs.engine.executors import RunExecutor
from jobs.engine.heartbeat import Heartbeat
from jobs.engine.instance import Instance
from jobs.engine.notifier import Notifier
from jobs.engine.recorder import Recorder
from jobs.engine.statements import Statements
from jobs.engine.workers.supervisor import Supervisor

log = structlog.get_logger()

CONNECTION_LOST = ("08", "57P")
"""How the SQLSTATE of an error begins after which nothing can be written."""


class ThreadEnded(RuntimeError):
    """A thread without which the scheduler cannot do its work has ended; it does not come back."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the thread {name} has ended; only a restart helps")


class LivingScheduler(Protocol):
    """What the signs of life tell of."""

    closing: bool
    backoff: Backoff
    dispatcher: Dispatcher
    heartbeat: Heartbeat
    instance: Instance
    notifier: Notifier
    recorder: Recorder
    statements: Statements
    supervisor: Supervisor | None

    @property
    def pools(self) -> dict[str, RunExecutor]: ...

    def start_over(self) -> None: ...


class Liveness:
    """The signs of life of one scheduler."""

    def __init__(self, scheduler: LivingScheduler) -> None:
        self._scheduler = scheduler

    def check_threads(self) -> None:
        """Raise ThreadEnded when a thread that was started does not live: a tick without it completes nothing."""
        for thread in self._threads():
            if thread.ident is not None and not thread.is_alive():
                raise ThreadEnded(thread.name)

    def _threads(self) -> Sequence[threading.Thread]:
        scheduler = self._scheduler
        return [scheduler.recorder, *([scheduler.supervisor] if scheduler.supervisor else []), *scheduler.statements.threads, *scheduler.notifier.threads]

    def beat(self) -> bool:
        """Write a heartbeat at the end of a tick; returns whether there is something to claim now."""
        scheduler = self._scheduler
        workers, problem = (scheduler.supervisor.serving, scheduler.supervisor.problem) if scheduler.supervisor is not None else (0, "")
        plans = scheduler.dispatcher.plans
        if plans.unreadable and plans.try_again():
            scheduler.dispatcher.poll_again()
        problem = "; ".join(filter(None, (problem, plans.problem)))
        try:
            released = scheduler.heartbeat.beat(list(scheduler.pools.values()), self._known_runs, workers, problem)
        except RowLost:
            self._start_anew()
            return True
        if released:
            scheduler.dispatcher.poll_again()
        if not scheduler.statements.keeps_connection:
            close_old_connections()
        return released

    def report(self, error: Exception) -> None:
        """Say in the instance's row that ticks fail, after `error`.  Others must not take it for dead: its runs go on.

        Not without one of its threads: then its runs do not go on, and another instance settles them.
        """
        if isinstance(error, RowLost):
            self._start_anew()
            return
        if isinstance(error, ThreadEnded) or _is_outage(error):
            return
        try:
            self._scheduler.heartbeat.report(self._scheduler.backoff.problem)
        except RowLost:
            self._start_anew()
        except Exception as second:  # noqa: BLE001 -- the tick that failed is what matters; it is logged
            log.debug("scheduler_report_failed", error=f"{type(second).__name__}: {second}")

    def _start_anew(self) -> None:
        """Go on as a new instance.  What this one has claimed was given to others, or is of a past that the database does not know."""
        scheduler, old = self._scheduler, self._scheduler.instance.id
        if scheduler.closing:
            return  # what is left of its runs ends with it
        scheduler.instance.renew()
        for executor in scheduler.pools.values():
            executor.stop_all()
        if scheduler.supervisor is not None:
            scheduler.supervisor.kill_busy()
        scheduler.dispatcher.plans.clear()
        scheduler.dispatcher.poll_again()
        scheduler.start_over()
        log.warning("scheduler_started_anew", instance=scheduler.instance.id, before=old, problem="its row or a run's id was not its own any more")

    def _known_runs(self) -> set[int]:
        known = set(self._scheduler.recorder.in_hand)
        for executor in self._scheduler.pools.values():
            known.update(list(executor.in_flight))
            known.update(run.id for run in list(executor.buffered))
        return known


def _is_outage(error: Exception) -> bool:
    """Whether nothing can be written now: another attempt would only delay the next tick."""
    state = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, (InterfaceError, OperationalError)) and (state is None or state.startswith(CONNECTION_LOST))
