"""Failed ticks: logged once, retried with a growing wait, and over once ticks have completed for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import DatabaseError, InterfaceError

log = structlog.get_logger()

WAITS = (0.1, 0.2, 0.4, 0.8, 1.0)
"""Seconds to wait after the first, second, … failed tick in a row."""

STEADY_SECONDS = 2.0
"""An outage is over when ticks have completed for this long: on a nearly full disk some claims succeed between failures."""


class Backoff:
    """Logs the begin and the end of an outage, and says how long to wait before the next tick."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.problem = ""
        """Since when ticks fail, and of what; empty once one has completed."""
        self.failures = 0
        """Ticks that have failed in a row."""
        self._failures_of_outage = 0
        self._began_at = 0.0
        self._failed_at = time.monotonic()

    def failed(self, error: Exception) -> float:
        """Count a failed tick; returns the seconds to wait before the next."""
        if not self._failures_of_outage:
            self._began_at = time.monotonic()
            log.error("scheduler_tick_failed", error=f"{type(error).__name__}: {error}", exc_info=None if isinstance(error, (DatabaseError, InterfaceError)) else error)
        self._failures_of_outage += 1
        if not self.failures:
            self._failing_since = self._now()
        self.failures += 1
        first_line = str(error).partition("\n")[0][:300]
        self.problem = f"ticks fail since {self._failing_since:%H:%M:%S} UTC: {type(error).__name__}: {first_line}"
        self._failed_at = time.monotonic()
        return WAITS[min(self.failures, len(WAITS)) - 1]

    def completed(self) -> None:
        """Count a completed tick."""
        if self.failures:
            self.failures, self.problem = 0, ""
            self._failed_at = time.monotonic()
        if self._failures_of_outage and self.seconds_since_failure >= STEADY_SECONDS:
            log.warning("scheduler_tick_recovered", failures=self._failures_of_outage, seconds=round(self._failed_at - self._began_at, 3))
            self._failures_of_outage = 0

    @property
    def seconds_since_failure(self) -> float:
        return time.monotonic() - self._failed_at
