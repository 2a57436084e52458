"""Every two seconds: update this instance's row, follow the database's clock, and settle runs without a live owner."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from jobs import conf
from jobs.clock import Clock, database_now, read_database_clock
from jobs.engine.exceptions import RowLost
from jobs.engine.executors import RunExecutor
from jobs.engine.instance import Instance
from jobs.engine.others import Others
from jobs.engine.reaper import owners_without_row, reap, relieve
from jobs.engine.statements import Housekeeping, Statements
from jobs.models import JobRun
from jobs.models.readable import attempt

log = structlog.get_logger()

HEARTBEAT_SECONDS = 2.0
CLOCK_AHEAD_AT_MOST = timedelta(days=1)


class Heartbeat:
    """The duties of an instance beside its ticks.  One query tells whether there are any."""

    def __init__(self, instance: Instance, clock: Clock, statements: Statements) -> None:
        self._instance = instance
        self._clock = clock
        self._statements = statements
        self._others = Others()
        self._next = 0.0
        self.foreign: str | None = None
        """The environment that the database belongs to, when it is not ours."""

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def postpone(self) -> None:
        """Make the next heartbeat due in HEARTBEAT_SECONDS."""
        self._next = time.monotonic() + HEARTBEAT_SECONDS

    def beat(self, executors: Sequence[RunExecutor], known_runs: Callable[[], set[int]], workers: int = 0, problem: str = "") -> bool:
        """Do the duties, at the end of a tick; returns whether runs were released that any scheduler may claim.  Raises RowLost."""
        self._statements.tune()
        reading = read_database_clock()
        if set_back := self._clock.follow(reading):
            log.warning("scheduler_clock_set_back", seconds=round(set_back.total_seconds(), 3))
        if not self._instance.beat(reading.at, executors, workers, problem):
            raise RowLost
        duties = self._statements.housekeeping(self._instance.id, reading.at)
        self.check_environment(duties.environment)
        lost = self._instance.release_lost(known_runs(), self._clock.now()) if duties.active or self._instance.has_suspects else 0
        if lost:
            log.warning("job_runs_taken_back", instance=self._instance.id, runs=lost)
        released = lost > 0 or self._settle(duties, reading.at)
        self.postpone()
        return released

    def _settle(self, duties: Housekeeping, at: datetime) -> bool:
        """Settle the runs of others that are gone, or whose ticks fail; returns whether there were any."""
        heartbeats: dict[str, str | None] = dict(duties.others)
        if duties.ownerless:
            heartbeats |= dict.fromkeys(owners_without_row())
        suspects = self._others.note(heartbeats)
        reaped = bool(suspects) and reap(suspects, at, self._clock.now())
        return (duties.failing and relieve(at, self._clock.now())) or reaped

    def report(self, problem: str) -> None:
        """Write a heartbeat without a tick, and why none completes.  Raises RowLost."""
        if self.is_due:
            self.postpone()
            if not self._instance.report(database_now(), problem):
                raise RowLost

    def set_clock(self) -> None:
        """Set the clock at the start: to the database's time; or to that of the last claim, if the clock was set back since."""
        latest, _problem = attempt(JobRun.objects.order_by("-pk").values_list("queued_at", flat=True).first)
        reading = read_database_clock()
        self._clock.restart(reading.at, reading.middle)
        if latest is not None and (now := self._clock.now()) < latest < now + CLOCK_AHEAD_AT_MOST:
            self._clock.restart(latest)

    def check_environment(self, name: str | None) -> None:
        """Compare the database's environment with this process's, and log a difference once."""
        foreign = name if name != conf.environment() else None
        if foreign is not None and self.foreign is None:
            log.error(
                "scheduler_tick_failed",
                error=f"this database belongs to the environment {foreign!r}, this process to {conf.environment()!r}; nothing fires until "
                "VS_ENVIRONMENT agrees or `manage.py jobs adopt` makes the database ours",
            )
        self.foreign = foreign
