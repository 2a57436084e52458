"""When a job fires: pure functions of a definition and a time.

A *slot* is one fire time of one job.  Nothing here reads a clock or a table, and every answer is the same
whoever asks and however often: a restart, a deploy or a re-save can therefore not move a slot.
All times are aware; what comes back is in UTC.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from typing import Any, Self, cast
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from cronsim import CronSimError

from jobs.cron import Cron
from jobs.models import FOREVER, JobDefinition, Trigger
from jobs.schedule_words import describe, details
from jobs.validators import expand_cron

__all__ = ["AnchoredIntervalTrigger", "CronSimTrigger", "Due", "OnceTrigger", "Schedule", "SlotTrigger", "describe", "details", "next_fire_time", "upcoming"]

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
UNSCHEDULABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, CronSimError)
"""What comes of a schedule that was damaged by hand."""

# The last slot of a long downtime is looked for in ever wider windows that end now.
LOOK_BACK = (timedelta(hours=1), DAY, timedelta(days=32), timedelta(days=367), timedelta(days=9 * 366))


class SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """An APScheduler trigger whose slots depend on nothing but itself."""

    __slots__ = ()

    @abstractmethod
    def after(self, moment: datetime) -> datetime | None:
        """The first slot later than `moment`."""

    @abstractmethod
    def count(self, after: datetime, until: datetime) -> int:
        """How many slots are later than `after` and no later than `until`."""

    @abstractmethod
    def last(self, after: datetime, until: datetime) -> datetime | None:
        """The latest slot later than `after` and no later than `until`."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """APScheduler's question; slots are anchored, so the previous one does not matter beyond its time."""
        return self.after(previous_fire_time or now - TICK)


class AnchoredIntervalTrigger(SlotTrigger):
    """Slot k = anchor + k · interval, for every k ≥ 0."""

    __slots__ = ("anchor", "interval")

    def __init__(self, anchor: datetime, seconds: int) -> None:
        self.anchor = anchor
        self.interval = timedelta(seconds=seconds)

    def _index(self, moment: datetime) -> int:
        return max((moment - self.anchor) // self.interval, -1)

    def after(self, moment: datetime) -> datetime | None:
        return self.anchor + (self._index(moment) + 1) * self.interval

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
        Cron(self.expression, datetime(2024, 1, 1, tzinfo=UTC))  # a bad expression fails here and not in a tick

    def _slots(self, after: datetime) -> Iterator[datetime]:
        # Inside an hour that comes twice, cronsim starts again at its first pass: what is not later is dropped.
        for slot in Cron(self.expression, after.astimezone(self.zone)):
            if (moment := slot.astimezone(UTC)) > after:
                yield moment

    def _between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        for slot in self._slots(after):
            if slot > until:
                return
            yield slot

    def after(self, moment: datetime) -> datetime | None:
        return next(self._slots(moment), None)

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

    def _midnight(self, moment: datetime) -> datetime:
        local = moment.astimezone(self.zone)
        return datetime.combine(local.date(), time(), self.zone).astimezone(UTC)

    def _count_days(self, start: datetime, end: datetime) -> int:
        """Slots from midnight `start` up to, not including, midnight `end`."""
        fields = Cron(self.expression, datetime(2024, 1, 1, tzinfo=UTC))
        slots_a_day = len(fields.minutes) * len(fields.hours)
        total, midnight = 0, start
        while midnight < end:
            date = midnight.astimezone(self.zone).date()
            following = datetime.combine(date + DAY, time(), self.zone).astimezone(UTC)
            if following - midnight != DAY:
                total += sum(1 for _slot in self._between(midnight - TICK, following - TICK))
            elif date.month in fields.months and fields.match_day(date):
                total += slots_a_day
            midnight = following
        return total

    def last(self, after: datetime, until: datetime) -> datetime | None:
        for window in LOOK_BACK:
            start = max(after, until - window)
            latest = None
            for latest in self._between(start, until):  # noqa: B007 -- the last one is what is wanted
                pass
            if latest is not None or start == after:
                return latest
        return None


class OnceTrigger(SlotTrigger):
    """One slot, or none at all when there is no time: the trigger of jobs that only run when asked."""

    __slots__ = ("moment",)

    def __init__(self, moment: datetime | None) -> None:
        self.moment = moment

    def after(self, moment: datetime) -> datetime | None:
        return self.moment if self.moment is not None and self.moment > moment else None

    def count(self, after: datetime, until: datetime) -> int:
        return int(self.last(after, until) is not None)

    def last(self, after: datetime, until: datetime) -> datetime | None:
        slot = self.after(after)
        return slot if slot is not None and slot <= until else None


@dataclass(frozen=True, slots=True)
class Due:
    """The slots that have come due: how many, the first and last of them, and the one that comes next."""

    first: datetime
    last: datetime
    count: int
    following: datetime | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that decides when a job fires: the schedule fields of a definition, and nothing else."""

    job_id: str
    trigger: str
    interval_seconds: int = 0
    cron: str = ""
    run_at: datetime | None = None
    timezone: str = "UTC"
    anchor: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    jitter_seconds: int = 0
    fires_after: datetime | None = None
    enabled: bool = True
    _slots: SlotTrigger | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, definition: JobDefinition) -> Self:
        """The schedule as the row states it; slots that passed before its last change are not part of it."""
        return cls(
            job_id=definition.pk,
            trigger=definition.trigger,
            interval_seconds=definition.interval_seconds,
            cron=definition.cron,
            run_at=definition.run_at,
            timezone=definition.timezone,
            anchor=definition.anchor,
            starts_at=definition.starts_at,
            ends_at=definition.ends_at,
            jitter_seconds=definition.jitter_seconds,
            fires_after=_fires_after(definition),
            enabled=definition.enabled and definition.is_registered,
        )

    def to_json(self) -> dict[str, Any]:
        """A plain object; `from_json` is its inverse."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "_slots"}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        times = {"run_at", "anchor", "starts_at", "ends_at", "fires_after"}
        read: dict[str, Any] = {name: datetime.fromisoformat(value) if name in times and value is not None else value for name, value in values.items()}
        return cls(**read)

    @property
    def slots(self) -> SlotTrigger:
        """The plain slots, without jitter, start and end; made once."""
        if self._slots is None:
            object.__setattr__(self, "_slots", _trigger(self.trigger, self.interval_seconds, self.cron, self.timezone, self.anchor, self.run_at))
        return cast("SlotTrigger", self._slots)

    def _offset(self, slot: datetime) -> timedelta:
        """How far jitter moves a slot: a fixed function of job and slot, from 0 up to `jitter_seconds`."""
        digest = blake2b(f"{self.job_id} {slot.timestamp():.6f}".encode(), digest_size=8).digest()
        return timedelta(microseconds=int.from_bytes(digest) % (self.jitter_seconds * 1_000_000))

    def next_fire_time(self, after: datetime) -> datetime | None:
        """The first fire time later than `after`, or None when there is none."""
        if not self.enabled:
            return None
        if self.fires_after is not None and self.fires_after > after:
            after = self.fires_after
        if after >= FOREVER - TICK:
            return None
        try:
            return self._plain_next(after) if not self.jitter_seconds else self._jittered_next(after)
        except OverflowError:
            return None  # the next one would come after the year 9999

    def _plain_next(self, after: datetime) -> datetime | None:
        if self.starts_at is not None and after < self.starts_at:
            after = self.starts_at - TICK
        slot = self.slots.after(after)
        return slot if slot is not None and (self.ends_at is None or slot <= self.ends_at) else None

    def _jittered_next(self, after: datetime) -> datetime | None:
        slot, best = self._plain_next(after - timedelta(seconds=self.jitter_seconds)), None
        while slot is not None and (best is None or slot < best):
            fire = slot + self._offset(slot)
            if fire > after and (best is None or fire < best):
                best = fire
            slot = self._plain_next(slot)
        return best

    def due(self, first: datetime, now: datetime) -> Due:
        """Account for all fire times from `first` (itself one) up to `now` without ever listing them."""
        following = self.next_fire_time(first)
        if following is None or following > now:
            return Due(first, first, 1, following)
        if self.jitter_seconds:
            return self._jittered_due(first, now)
        until = now if self.ends_at is None else min(now, self.ends_at)
        count = 1 + self.slots.count(first, until)
        last = self.slots.last(first, until) or first
        return Due(first, last, count, self.next_fire_time(last))

    def _jittered_due(self, first: datetime, now: datetime) -> Due:
        """Slots that have surely fired between `first` and `now` are counted by arithmetic, those near either end one by one."""
        plain = replace(self, jitter_seconds=0, fires_after=None)
        reach = timedelta(seconds=self.jitter_seconds)
        sure = max(first, now - reach)  # a slot later than `first` and no later than this has fired by `now`
        end = sure if self.ends_at is None else min(sure, self.ends_at)
        near = [*plain.fire_times(first - reach, first), *plain.fire_times(sure, now)]
        count = 1 + plain.slots.count(first, end) + sum(1 for slot in near if first < slot + self._offset(slot) <= now)
        latest = plain.slots.last(first, end) or first
        fires = (slot + self._offset(slot) for slot in plain.fire_times(latest - reach, now))
        return Due(first, max((fire for fire in fires if first <= fire <= now), default=first), count, self.next_fire_time(now))

    def fire_times(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every fire time later than `after` and no later than `until`, one at a time."""
        fire = self.next_fire_time(after)
        while fire is not None and fire <= until:
            yield fire
            fire = self.next_fire_time(fire)


def _fires_after(definition: JobDefinition) -> datetime:
    since, pause = definition.scheduled_from, definition.paused_until
    return pause - TICK if pause is not None and pause > since else since


def _trigger(kind: str, seconds: int, cron: str, zone: str, anchor: datetime, run_at: datetime | None) -> SlotTrigger:
    if kind == Trigger.INTERVAL and seconds > 0:
        return AnchoredIntervalTrigger(anchor, seconds)
    if kind == Trigger.CRON:
        return CronSimTrigger(cron, zone)
    return OnceTrigger(run_at if kind == Trigger.ONCE else None)


def next_fire_time(definition: JobDefinition, after: datetime) -> datetime | None:
    """The first time after `after` at which the definition fires."""
    return Schedule.of(definition).next_fire_time(after)


def upcoming(definition: JobDefinition, after: datetime, count: int) -> list[datetime]:
    """The next `count` fire times after `after`; fewer when the schedule ends before."""
    schedule, times = Schedule.of(definition), list[datetime]()
    fire = schedule.next_fire_time(after)
    while fire is not None and len(times) < count:
        times.append(fire)
        fire = schedule.next_fire_time(fire)
    return times
