"""Cron against two judges: Debian's rules applied minute by minute, and cronsim on its own."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from jobs.schedule.schedule import Schedule
from jobs.schedule.triggers import CronSimTrigger
from tests.jobs.schedule.schedules import YEARS, ZONES, Expression, random_expression, transitions

EXPRESSIONS = 1000
SLOTS = 25
# With a star in minute or hour, cronsim 2 steps over slots where clocks change by half an hour, and runs an hour that does not exist when they change at midnight.
WRONG_IN_CRONSIM = {"Australia/Lord_Howe", "America/Santiago"}
pytestmark = pytest.mark.once


def cases() -> list[tuple[Expression, str, datetime]]:
    """A thousand expressions, half of them looked at around a clock change."""
    dice = random.Random(20260101)
    changes = {zone: transitions(zone) for zone in ZONES}
    found = []
    for _ in range(EXPRESSIONS):
        zone = dice.choice(ZONES)
        if changes[zone] and dice.random() < 0.5:
            start = dice.choice(changes[zone]) - timedelta(minutes=dice.randrange(36 * 60))
        else:
            start = YEARS[0] + timedelta(minutes=dice.randrange(3 * 365 * 24 * 60))
        found.append((random_expression(dice), zone, start))
    return found


CASES = cases()


def test_the_three_years_change_clocks_by_whole_and_by_half_hours() -> None:
    assert [len(transitions(zone)) for zone in ZONES] == [0, 6, 6, 6, 0, 6]
    lord_howe = transitions("Australia/Lord_Howe")[0].astimezone(ZoneInfo("Australia/Lord_Howe"))
    assert abs((lord_howe.utcoffset() or timedelta()) - ((lord_howe - timedelta(hours=2)).utcoffset() or timedelta())) == timedelta(minutes=30)


@pytest.mark.parametrize("part", range(10))
def test_slots_are_those_of_a_minute_by_minute_scan_by_debians_rules(part: int) -> None:
    compared = 0
    for expression, zone, start in CASES[part::10]:
        found = list(islice(CronSimTrigger(str(expression), zone)._between(start, YEARS[1]), SLOTS))
        until = found[-1] if len(found) == SLOTS else min(YEARS[1], start + timedelta(days=400))
        expected = list(expression.slots(zone, start, until))
        assert [slot for slot in found if slot <= until] == expected, (str(expression), zone, start)
        compared += len(expected)
    assert compared > 1000


@pytest.mark.parametrize("part", range(10))
def test_slots_are_those_of_cronsim(part: int) -> None:
    for expression, zone, start in CASES[part::10]:
        if zone in WRONG_IN_CRONSIM and (expression.minute.star or expression.hour.star):
            continue
        simulated = CronSim(str(expression), start.astimezone(ZoneInfo(zone)))
        expected = (moment for slot in simulated if (moment := slot.astimezone(UTC)) > start)
        within = takewhile(lambda slot: slot <= YEARS[1], expected)
        assert list(islice(CronSimTrigger(str(expression), zone)._between(start, YEARS[1]), SLOTS)) == list(islice(within, SLOTS)), (str(expression), zone)


@pytest.mark.parametrize("part", range(4))
def test_slots_are_counted_without_being_listed(part: int) -> None:
    for expression, zone, start in CASES[part:400:4]:
        trigger, until = CronSimTrigger(str(expression), zone), start + timedelta(days=5, hours=7)
        listed = list(expression.slots(zone, start, until))
        assert trigger.count(start, until) == len(listed), (str(expression), zone, start)
        assert trigger.last(start, until) == (listed[-1] if listed else None), (str(expression), zone, start)


@pytest.mark.parametrize("zone", [zone for zone in ZONES if transitions(zone)])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 0 * * *", "15 3 * * *", "45 1 * * *"])
def test_a_daily_job_runs_exactly_once_on_each_day_that_changes_its_clocks(zone: str, cron: str) -> None:
    for change in transitions(zone):
        day = change.astimezone(ZoneInfo(zone)).date()
        around = Schedule("daily", "cron", cron=cron, timezone=zone).fire_times(change - timedelta(days=3), change + timedelta(days=3))
        days = [fire.astimezone(ZoneInfo(zone)).date() for fire in around]
        assert [days.count(day + timedelta(days=n)) for n in (-1, 0, 1)] == [1, 1, 1]


@pytest.mark.parametrize("zone", [zone for zone in ZONES if zone != "Australia/Lord_Howe"])
def test_every_fifteen_minutes_stays_fifteen_minutes_when_clocks_change(zone: str) -> None:
    for change in transitions(zone) or [YEARS[0]]:
        fires = list(Schedule("often", "cron", cron="*/15 * * * *", timezone=zone).fire_times(change - timedelta(hours=6), change + timedelta(hours=6)))
        assert {later - earlier for earlier, later in pairwise(fires)} == {timedelta(minutes=15)}
        assert len(fires) == 48


def test_the_first_of_april_is_not_lost_to_the_clock_change_before_it() -> None:
    first = Schedule("monthly", "cron", cron="0 0 1 * *", timezone="Europe/Berlin").next_fire_time(datetime(2024, 3, 15, tzinfo=UTC))
    assert first == datetime(2024, 3, 31, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("alias", "fields"), [("@yearly", "0 0 1 1 *"), ("@monthly", "0 0 1 * *"), ("@weekly", "0 0 * * 0"), ("@daily", "0 0 * * *"), ("@hourly", "0 * * * *")]
)
def test_an_alias_fires_when_its_five_fields_do(alias: str, fields: str) -> None:
    after = datetime(2025, 5, 5, 5, 5, tzinfo=UTC)
    assert CronSimTrigger(alias, "Europe/Vienna").after(after) == CronSimTrigger(fields, "Europe/Vienna").after(after)


@pytest.mark.parametrize("sunday", ["0", "7", "SUN"])
def test_sunday_is_zero_and_seven(sunday: str) -> None:
    assert CronSimTrigger(f"0 0 * * {sunday}").after(datetime(2024, 1, 3, tzinfo=UTC)) == datetime(2024, 1, 7, tzinfo=UTC)
