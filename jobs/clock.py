"""The database's time: what stamps rows, and what schedulers go by, kept going by a monotonic clock between two looks at it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

SET_BACK = timedelta(seconds=1)
CLOSE_ENOUGH = 0.002
"""Seconds that a look may take; one that took longer is repeated, for this process may have slept in the middle of it."""

LOOKS = 3


def database_now() -> datetime:
    """The database's clock; on SQLite that is this machine's."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    return _ask_postgresql()


def _ask_postgresql() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


@dataclass(frozen=True, slots=True)
class Look:
    """What the database's clock said at some moment between two readings of the monotonic one."""

    moment: datetime
    before: float
    after: float

    @property
    def took(self) -> float:
        """Seconds by which the moment may be off at most."""
        return self.after - self.before

    @property
    def middle(self) -> float:
        """When it was that moment, as far as one can tell."""
        return (self.before + self.after) / 2


def look_at_database() -> Look:
    """The closest look of a few: a slow answer, or a thread switch before we get to read it, leaves open when it was that late."""
    closest = _look()
    for _ in range(LOOKS - 1):
        if closest.took <= CLOSE_ENOUGH:
            break
        closest = min(closest, _look(), key=lambda look: look.took)
    return closest


def _look() -> Look:
    before = time.monotonic()
    moment = database_now()
    return Look(moment, before, time.monotonic())


class Clock:
    """Time that follows the database's clock, but not back.

    When the database's clock is set back, the slots of the repeated hour have been answered already; the clock
    goes on from where it was, so that nothing runs twice and nothing falls silent.
    """

    def __init__(self, start: datetime, at: float | None = None) -> None:
        self.restart(start, at)

    def restart(self, moment: datetime, at: float | None = None) -> None:
        """It was `moment` when the monotonic clock showed `at`, or it is now."""
        self._anchor = (moment, time.monotonic() if at is None else at)

    def now(self) -> datetime:
        return self._at(time.monotonic())

    def _at(self, monotonic: float) -> datetime:
        base, base_monotonic = self._anchor  # one tuple, so that a thread never sees half of a change
        return base + timedelta(seconds=monotonic - base_monotonic)

    def follow(self, look: Look) -> timedelta | None:
        """Take over what a look at the database's clock says; returns how far that was set back, if it was.

        A look says that it was `moment` at some time from `before` to `after`.  A clock that agrees is left alone and one
        that does not is moved no further than it takes, so that a slow look never makes a good clock worse.
        """
        earliest, latest = look.moment, look.moment + timedelta(seconds=look.took)
        ours = self._at(look.after)
        if ours - latest > SET_BACK:
            return ours - latest
        self._anchor = (min(max(ours, earliest), latest), look.after)
        return None
