"""Triggers: the plain slots of an interval, a cron expression or a single time, without start, end and jitter."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from jobs.schedule.cron import Cron
from jobs.schedule.kinds import Trigger
from jobs.schedule.validators import expand_cron

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)

CALENDAR_BEGINS = datetime(2024, 1, 1, tzinfo=UTC)
"""Where the fields of an expression are read from; any time would do."""

# The last slot of a long downtime is searched in wider and wider windows that end now.
LOOK_BACK = (timedelta(hours=1), DAY, timedelta(days=32), timedelta(days=367), timedelta(days=9 * 366))


class SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """An APScheduler trigger whose slots depend on nothing but itself."""

    __slots__ = ()

    @abstractmethod
    def walk(self, after: datetime) -> Iterator[datetime]:
        """The slots later than `after`, one at a time.  Raises OverflowError after the year 9999."""

    def after(self, at: datetime) -> datetime | None:
        """The first slot later than `at`."""
        return next(self.walk(at), None)

    @abstractmethod
    def count(self, after: datetime, until: datetime) -> int:
        """How many slots are later than `after` and no later than `until`."""

    @abstractmethod
    def last(self, after: datetime, until: datetime) -> datetime | None:
        """The latest slot later than `after` and no later than `until`."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """APScheduler's interface; slots are anchored, so only the time of the previous one matters."""
        return self.after(previous_fire_time or now - TICK)


class AnchoredIntervalTrigger(SlotTrigger):
    """Slot k = anchor + k · interval, for every k ≥ 0."""

    __slots__ = ("anchor", "interval")

    def __init__(self, anchor: datetime, seconds: int) -> None:
        self.anchor = anchor
        self.interval = timedelta(seconds=seconds)

    def _index(self, at: datetime) -> int:
        return max((at - self.anchor) // self.interval, -1)

    def walk(self, after: datetime) -> Iterator[datetime]:
        slot = self.after(after)
        while True:
            yield slot
            slot += self.interval

    def after(self, at: datetime) -> datetime:
        return self.anchor + max((at - self.anchor) // self.interval + 1, 0) * self.interval

    def count(self, after: datetime, until: datetime) -> int:
        return max(self._index(until) - self._index(after), 0)

    def last(self, after: datetime, until: datetime) -> datetime | None:
        index = self._index(until)
        return self.anchor + index * self.interval if index > self._index(after) else None


class CronSimTrigger(SlotTrigger):
    """Slots of a cron expression as Debian's cron fires them, in a time zone, daylight saving time included."""

    __slots__ = ("expression", "zone")

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        self.expression = expand_cron(expression)
        self.zone = UTC if zone == "UTC" else ZoneInfo(zone)
        Cron(self.expression, CALENDAR_BEGINS)  # so that a bad expression fails here and not in a tick

    def walk(self, after: datetime) -> Iterator[datetime]:
        # Inside an hour that comes twice, cronsim starts again at its first pass; slots that are not later are dropped.
        for slot in Cron(self.expression, after.astimezone(self.zone)):
            if (fires_at := slot.astimezone(UTC)) > after:
                yield fires_at

    def _between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        for slot in self.walk(after):
            if slot > until:
                return
            yield slot

    def count(self, after: datetime, until: datetime) -> int:
        """Whole days without a clock change are counted by arithmetic, so that years take milliseconds."""
        first_midnight = self._midnight(after + DAY)
        last_midnight = self._midnight(until)
        if last_midnight - first_midnight < 2 * DAY:
            return sum(1 for _slot in self._between(after, until))
        return (
            sum(1 for _slot in self._between(after, first_midnight - TICK))
            + self._count_days(first_midnight, last_midnight)
            + sum(1 for _slot in self._between(last_midnight - TICK, until))
        )

    def _midnight(self, at: datetime) -> datetime:
        local = at.astimezone(self.zone)
        return datetime.combine(local.date(), time(), self.zone).astimezone(UTC)

    def _count_days(self, start: datetime, end: datetime) -> int:
        """Slots from midnight `start` up to, not including, midnight `end`."""
        fields = Cron(self.expression, CALENDAR_BEGINS)
        slots_a_day = len(fields.minutes) * len(fields.hours)
        total, midnight = 0, start
        was_regular = False
        while midnight < end:
            date = midnight.astimezone(self.zone).date()
            following = datetime.combine(date + DAY, time(), self.zone).astimezone(UTC)
            is_regular = following - midnight == DAY and following.astimezone(self.zone).date() == date + DAY
            if not (is_regular and was_regular):  # the slots of a gap that ends at midnight fire on the day after
                total += sum(1 for _slot in self._between(midnight - TICK, following - TICK))
            elif date.month in fields.months and fields.match_day(date):
                total += slots_a_day
            midnight, was_regular = following, is_regular
        return total

    def last(self, after: datetime, until: datetime) -> datetime | None:
        for window in LOOK_BACK:
            start = max(after, until - window)
            latest = None
            for latest in self._between(start, until):  # noqa: B007 -- the last one is the result
                pass
            if latest is not None or start == after:
                return latest
        return None


class OnceTrigger(SlotTrigger):
    """One slot, or none: without a time this is the trigger of manual jobs."""

    __slots__ = ("run_at",)

    def __init__(self, run_at: datetime | None) -> None:
        self.run_at = run_at

    def walk(self, after: datetime) -> Iterator[datetime]:
        if self.run_at is not None and self.run_at > after:
            yield self.run_at

    def count(self, after: datetime, until: datetime) -> int:
        return int(self.last(after, until) is not None)

    def last(self, after: datetime, until: datetime) -> datetime | None:
        slot = self.after(after)
        return slot if slot is not None and slot <= until else None


def trigger_of(kind: str, seconds: int, cron: str, zone: str, anchor: datetime, run_at: datetime | None) -> SlotTrigger:
    """The trigger of a schedule; raises ValueError, KeyError or CronSimError when the schedule is damaged."""
    if kind == Trigger.INTERVAL and seconds > 0:
        return AnchoredIntervalTrigger(anchor, seconds)
    if kind == Trigger.CRON:
        return CronSimTrigger(cron, zone)
    return OnceTrigger(run_at if kind == Trigger.ONCE else None)
