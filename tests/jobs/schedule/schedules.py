"""Random schedules, and cron read a second time: Debian's rules, applied minute by minute."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONES = ("UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
YEARS = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class Field:
    """One field of an expression, together with the values that it was made from: nothing has to parse it."""

    text: str
    values: frozenset[int]

    @property
    def star(self) -> bool:
        return self.text.startswith("*")


@dataclass(frozen=True)
class Expression:
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    def __str__(self) -> str:
        return " ".join(field.text for field in (self.minute, self.hour, self.day, self.month, self.weekday))

    def fits(self, day: date) -> bool:
        """crontab(5): day-of-month and day-of-week restrict each other when one is a star, else either is enough."""
        by_date, by_weekday = day.day in self.day.values, day.isoweekday() % 7 in self.weekday.values
        both = by_date and by_weekday if self.day.star or self.weekday.star else by_date or by_weekday
        return both and day.month in self.month.values

    def slots(self, zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every slot later than `after` and no later than `until`, by looking at each minute of each day that fits."""
        day = after.astimezone(ZoneInfo(zone)).date() - DAY
        while day <= until.astimezone(ZoneInfo(zone)).date():
            if self.fits(day):
                yield from sorted(slot for slot in set(self._slots_of_day(day, ZoneInfo(zone))) if after < slot <= until)
            day += DAY

    def _slots_of_day(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        if self.minute.star or self.hour.star:
            # cron(8): such jobs are scheduled normally, by whatever the clock shows.
            moment, end = (datetime.combine(that, time(), zone).astimezone(UTC) for that in (day, day + DAY))
            while moment < end:
                local = moment.astimezone(zone)
                if local.hour in self.hour.values and local.minute in self.minute.values:
                    yield moment
                moment += MINUTE
            return
        for hour in self.hour.values:
            for minute in self.minute.values:
                # cron(8): at a specific time that comes twice it runs once; at one that is skipped, immediately after.
                yield _next_that_exists(datetime.combine(day, time(hour, minute)), zone)


def _next_that_exists(local: datetime, zone: ZoneInfo) -> datetime:
    while True:
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == local:
            return moment
        local += MINUTE


def transitions(zone: str) -> list[datetime]:
    """The hours in which the zone's clocks change within the three years."""
    return [hour for day in _changes(zone, YEARS[0], YEARS[1], DAY) for hour in _changes(zone, day - DAY, day, timedelta(hours=1))]


def _changes(zone: str, start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """The moments, `step` apart, at which the zone's offset is another than one step before."""
    moments = [start + n * step for n in range((end - start) // step + 1)]
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in moments]
    return [moment for moment, before, after in zip(moments[1:], offsets, offsets[1:], strict=False) if before != after]


def random_expression(dice: random.Random) -> Expression:
    return Expression(
        _random_field(dice, 0, 59),
        _random_field(dice, 0, 23),
        _random_field(dice, 1, 31, stars=0.6),
        _random_field(dice, 1, 12, stars=0.6, names=MONTHS),
        _random_field(dice, 0, 6, stars=0.6, names=WEEKDAYS),
    )


def _random_field(dice: random.Random, low: int, high: int, stars: float = 0.25, names: tuple[str, ...] = ()) -> Field:
    if dice.random() < stars:
        return Field("*", frozenset(range(low, high + 1)))
    first, last = sorted(dice.sample(range(low, high + 1), 2))
    step = dice.randint(2, 7)
    chosen = sorted(dice.sample(range(low, high + 1), 3))
    named = names[first - low] if names else str(first)
    return dice.choice(
        [
            Field(f"*/{step}", frozenset(range(low, high + 1, step))),
            Field(f"{first}-{last}", frozenset(range(first, last + 1))),
            Field(f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))),
            Field(",".join(map(str, chosen)), frozenset(chosen)),
            Field(f"{first},{last}-{high}", frozenset({first, *range(last, high + 1)})),
            Field(named, frozenset({first})),
        ]
    )
