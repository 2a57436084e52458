"""Every two seconds: say that this scheduler lives, follow the database's clock, and see to runs that nobody looks after."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog
from django.conf import settings

from jobs.clock import Clock, look_at_database
from jobs.engine.executors import RunExecutor
from jobs.engine.instance import Instance
from jobs.engine.statements import Statements

log = structlog.get_logger()

HEARTBEAT_SECONDS = 2.0
CALM_BEFORE_REAPING = 4.0
"""Seconds without a failed tick before this process judges others: after an outage they need two heartbeats."""


class Heartbeat:
    """The duties of an instance beside its ticks.  Usually there are none, which one query tells."""

    def __init__(self, instance: Instance, clock: Clock, statements: Statements) -> None:
        self._instance = instance
        self._clock = clock
        self._statements = statements
        self._next = 0.0
        self.foreign: str | None = None
        """The environment that the database belongs to, when it is not ours."""

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def put_off(self) -> None:
        """The next one is due two seconds from now."""
        self._next = time.monotonic() + HEARTBEAT_SECONDS

    def beat(self, lanes: Sequence[RunExecutor], known_runs: Callable[[], set[int]], calm_seconds: float) -> bool:
        """Do what there is to do; whether runs were given back, for anybody to claim."""
        self._statements.tune()
        look = look_at_database()
        if set_back := self._clock.follow(look):
            log.warning("scheduler_clock_set_back", seconds=round(set_back.total_seconds(), 3))
        self._instance.beat(look.moment, lanes)
        duties = self._statements.duties(self._instance.id, look.moment)
        self.check_environment(duties.environment)
        lost = self._instance.take_back(known_runs(), self._clock.now()) if duties.active or self._instance.has_suspects else 0
        if lost:
            log.warning("job_runs_taken_back", instance=self._instance.id, runs=lost)
        reaping = duties.silent and calm_seconds > CALM_BEFORE_REAPING
        if reaping:
            self._instance.reap(look.moment, self._clock.now())
        self.put_off()
        return reaping or lost > 0

    def check_environment(self, name: str | None) -> None:
        """Take note of the environment that the database belongs to, and say it once when that is not ours."""
        foreign = name if name != settings.ENVIRONMENT else None
        if foreign is not None and self.foreign is None:
            log.error(
                "scheduler_tick_failed",
                error=f"this database belongs to the environment {foreign!r}, this process to {settings.ENVIRONMENT!r}; nothing fires until "
                "VS_ENVIRONMENT agrees or `manage.py jobs adopt` makes the database ours",
            )
        self.foreign = foreign
