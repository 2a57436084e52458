"""The scheduler's clock: the database's time, kept going by a monotonic clock between two looks at it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from django.db import connection

SET_BACK = timedelta(seconds=1)


def database_now() -> datetime:
    """The database's clock; on SQLite that is this machine's."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


class Clock:
    """Time that follows the database's clock, but not back.

    When the database's clock is set back, the slots of the repeated hour have been answered already; the clock
    goes on from where it was, so that nothing runs twice and nothing falls silent.
    """

    def __init__(self, start: datetime) -> None:
        self.restart(start)

    def restart(self, moment: datetime) -> None:
        """It is `moment` now."""
        self._base, self._base_monotonic = moment, time.monotonic()

    def now(self) -> datetime:
        return self._base + timedelta(seconds=time.monotonic() - self._base_monotonic)

    def follow(self, measured: datetime) -> timedelta | None:
        """Take over a measurement; returns how far the database's clock was set back, if it was."""
        ahead = self.now() - measured
        if ahead > SET_BACK:
            return ahead
        self.restart(measured)
        return None
