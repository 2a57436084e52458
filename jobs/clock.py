"""The database's clock, which stamps rows and times slots; between two readings a monotonic clock carries it on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

SET_BACK = timedelta(seconds=1)
CLOSE_ENOUGH = 0.002
"""Seconds.  A reading that took longer is repeated, because this process may have slept in the middle of it."""

MAX_READINGS = 3


def database_now() -> datetime:
    """The database's clock; on SQLite that is this machine's."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    return _ask_postgresql()


def _ask_postgresql() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


@dataclass(frozen=True, slots=True)
class Reading:
    """The database's time, read at some point between two readings of the monotonic clock."""

    at: datetime
    before: float
    after: float

    @property
    def took(self) -> float:
        """Seconds; `at` is off by no more."""
        return self.after - self.before

    @property
    def middle(self) -> float:
        """The best guess of the monotonic time that belongs to `at`."""
        return (self.before + self.after) / 2


def read_database_clock() -> Reading:
    """The quickest of a few readings: after a slow answer or a thread switch it is uncertain when the database read its clock."""
    quickest = _read_once()
    for _ in range(MAX_READINGS - 1):
        if quickest.took <= CLOSE_ENOUGH:
            break
        quickest = min(quickest, _read_once(), key=lambda reading: reading.took)
    return quickest


def _read_once() -> Reading:
    before = time.monotonic()
    at = database_now()
    return Reading(at, before, time.monotonic())


class Clock:
    """Follows the database's clock, but never back.

    When the database's clock is set back, the slots of the repeated hour have their answers already.  This clock then
    goes on from where it was, so no slot runs twice and no job falls silent.
    """

    def __init__(self, now: datetime, monotonic: float | None = None) -> None:
        self.restart(now, monotonic)

    def restart(self, now: datetime, monotonic: float | None = None) -> None:
        """Set the clock to `now`, as of a reading of the monotonic clock (None: this one)."""
        self._anchor = (now, time.monotonic() if monotonic is None else monotonic)

    def now(self) -> datetime:
        return self._at(time.monotonic())

    @property
    def anchor(self) -> tuple[datetime, float]:
        """A time, and what the machine's monotonic clock showed then: a process on this machine can keep the same time."""
        return self._anchor

    def _at(self, monotonic: float) -> datetime:
        base, base_monotonic = self._anchor  # one tuple, so that another thread never reads half of a change
        return base + timedelta(seconds=monotonic - base_monotonic)

    def follow(self, reading: Reading) -> timedelta | None:
        """Correct this clock by a reading; returns how far the database's clock was set back, or None.

        The database read its clock at some time from `before` to `after`.  When this clock agrees with the reading it
        stays as it is; otherwise it moves no further than necessary, so that a slow reading never makes it worse.
        """
        earliest, latest = reading.at, reading.at + timedelta(seconds=reading.took)
        ours = self._at(reading.after)
        if ours - latest > SET_BACK:
            return ours - latest
        self._anchor = (min(max(ours, earliest), latest), reading.after)
        return None
