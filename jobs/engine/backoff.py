"""Failed ticks: said once, waited for, and over at last."""

from __future__ import annotations

import time

import structlog
from django.db import DatabaseError, InterfaceError

log = structlog.get_logger()

BACKOFF_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.0)


STEADY_SECONDS = 2.0
"""Ticks have to complete for so long until an outage is over: a disk that is nearly full lets some claims through and not others."""


class Outage:
    """Says once that ticks fail, and once that they do not any more."""

    def __init__(self) -> None:
        self.failures = 0
        """Ticks that have failed in a row."""
        self._failed = 0
        self._since = 0.0
        self.calm_since = time.monotonic()

    def failed(self, error: Exception) -> float:
        """Take note of a failed tick; returns the seconds to wait before the next."""
        if not self._failed:
            self._since = time.monotonic()
            log.error("scheduler_tick_failed", error=f"{type(error).__name__}: {error}", exc_info=None if isinstance(error, (DatabaseError, InterfaceError)) else error)
        self._failed += 1
        self.failures += 1
        self.calm_since = time.monotonic()
        return BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS)) - 1]

    def over(self) -> None:
        """Take note of a tick that completed."""
        if self.failures:
            self.failures = 0
            self.calm_since = time.monotonic()
        if self._failed and self.calm_seconds >= STEADY_SECONDS:
            log.warning("scheduler_tick_recovered", failures=self._failed, seconds=round(self.calm_since - self._since, 3))
            self._failed = 0

    @property
    def calm_seconds(self) -> float:
        return time.monotonic() - self.calm_since
