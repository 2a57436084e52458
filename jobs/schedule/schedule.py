"""A job's schedule: which slots it has, when each fires, and how many have come due."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import islice, takewhile
from typing import Any, Self, cast

from cronsim import CronSimError

from jobs.schedule import words
from jobs.schedule.kinds import FOREVER
from jobs.schedule.triggers import TICK, SlotTrigger, trigger_of

UNSCHEDULABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, CronSimError)
"""Exceptions that a schedule raises when its row was damaged by hand."""


@dataclass(slots=True)
class Due:
    """The slots that have come due: how many, the first and last of them, and the one that comes next."""

    first: datetime
    last: datetime
    count: int
    following: datetime | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that decides when a job fires.  `JobDefinition.schedule` makes it from a row."""

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
            object.__setattr__(self, "_slots", trigger_of(self.trigger, self.interval_seconds, self.cron, self.timezone, self.anchor, self.run_at))
        return cast("SlotTrigger", self._slots)

    def _offset(self, slot: datetime) -> timedelta:
        """How far jitter moves a slot: a fixed function of job and slot, from 0 up to `jitter_seconds`."""
        digest = blake2b(f"{self.job_id} {slot.timestamp():.6f}".encode(), digest_size=8).digest()
        return timedelta(microseconds=int.from_bytes(digest) % (self.jitter_seconds * 1_000_000))

    def next_fire_time(self, after: datetime) -> datetime | None:
        """The first fire time later than `after`, or None when there is none."""
        start = self._search_start(after)
        if start is None:
            return None
        try:
            return self._plain_next(start) if not self.jitter_seconds else next(self._jittered(start), None)
        except OverflowError:
            return None  # the next one would come after the year 9999

    def _search_start(self, after: datetime) -> datetime | None:
        """The time that the next fire time is later than; None when there is no next one."""
        if self.fires_after is not None and self.fires_after > after:
            after = self.fires_after
        return after if self.enabled and after < FOREVER - TICK else None

    def _plain_next(self, after: datetime) -> datetime | None:
        if self.starts_at is not None and after < self.starts_at:
            after = self.starts_at - TICK
        slot = self.slots.after(after)
        return slot if slot is not None and (self.ends_at is None or slot <= self.ends_at) else None

    def _plain(self, after: datetime) -> Iterator[datetime]:
        """The slots later than `after`, between start and end."""
        if self.starts_at is not None and after < self.starts_at:
            after = self.starts_at - TICK
        for slot in self.slots.walk(after):
            if self.ends_at is not None and slot > self.ends_at:
                return
            yield slot

    def _jittered(self, after: datetime) -> Iterator[datetime]:
        """The fire times later than `after`, in order.  A slot fires no earlier than it is, so what is due before the next slot is complete."""
        waiting: list[datetime] = []
        latest = after
        for slot in self._plain(after - timedelta(seconds=self.jitter_seconds)):
            while waiting and waiting[0] <= slot:
                if (fire := heappop(waiting)) > latest:  # two slots may fire at the same moment
                    yield (latest := fire)
            heappush(waiting, slot + self._offset(slot))
        for fire in sorted(set(waiting)):
            if fire > latest:
                yield fire

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
        return takewhile(lambda fire: fire <= until, self._walk(after))

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        """The next `count` fire times later than `after`; fewer when the schedule ends before."""
        return list(islice(self._walk(after), count))

    def _walk(self, after: datetime) -> Iterator[datetime]:
        """What `next_fire_time` returns one by one, by one walk over the slots."""
        start = self._search_start(after)
        if start is None:
            return
        with suppress(OverflowError):  # the next one would come after the year 9999
            for fire in self._plain(start) if not self.jitter_seconds else self._jittered(start):
                yield fire
                if fire >= FOREVER - TICK:
                    return

    def describe(self) -> str:
        """The schedule in words, in the active language; a damaged one says that it is."""
        return words.describe(self.trigger, self.interval_seconds, self.cron, self.run_at, self.timezone)

    @property
    def details(self) -> str:
        """The schedule as the API's `trigger_details` has it."""
        return words.details(self.trigger, self.interval_seconds, self.cron, self.run_at, self.timezone)
