from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobs.models import FOREVER, JobDefinition
from jobs.schedule.schedule import Schedule

START = datetime(2026, 3, 27, 22, 30, tzinfo=UTC)
CLOSE_TO_START = st.integers(-3 * 86_400, 3 * 86_400).map(lambda seconds: START + timedelta(seconds=seconds))
MAYBE = st.none() | CLOSE_TO_START
CRONS = st.sampled_from(["* * * * *", "*/15 * * * *", "17 * * * *", "30 2 * * *", "0 0 * * *", "5,35 1-3 * * *", "0 12 * * 1", "59 23 28 * *", "0 */7 * * *"])
ZONES = st.sampled_from(["UTC", "Europe/Vienna", "Australia/Lord_Howe", "America/New_York"])
pytestmark = pytest.mark.once

intervals = st.builds(
    Schedule,
    job_id=st.sampled_from(["a", "b"]),
    trigger=st.just("interval"),
    interval_seconds=st.integers(60, 40_000),
    anchor=CLOSE_TO_START,
    ends_at=MAYBE,
    jitter_seconds=st.sampled_from([0, 0, 1, 30, 59]),
    fires_after=MAYBE,
)
crons = st.builds(
    Schedule,
    job_id=st.just("c"),
    trigger=st.just("cron"),
    cron=CRONS,
    timezone=ZONES,
    starts_at=MAYBE,
    ends_at=MAYBE,
    jitter_seconds=st.sampled_from([0, 0, 30, 900, 7200]),
    fires_after=MAYBE,
)
onces = st.builds(Schedule, job_id=st.just("o"), trigger=st.just("once"), run_at=CLOSE_TO_START, starts_at=MAYBE, ends_at=MAYBE, jitter_seconds=st.sampled_from([0, 60]))
schedules = intervals | crons | onces


def plain_slots(schedule: Schedule, until: datetime) -> list[datetime]:
    """The slots without jitter and without limits, one after the other."""
    found, slot = [], schedule.slots.after(START - timedelta(days=5))
    while slot is not None and slot <= until:
        found.append(slot)
        slot = schedule.slots.after(slot)
    return found


def listed(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """The fire times later than `after` and no later than `until`, from a list of all slots."""
    allowed = [
        slot
        for slot in plain_slots(schedule, until)
        if (schedule.starts_at is None or slot >= schedule.starts_at) and (schedule.ends_at is None or slot <= schedule.ends_at)
    ]
    fires = sorted(slot + (schedule._offset(slot) if schedule.jitter_seconds else timedelta()) for slot in allowed)
    return [fire for fire in fires if after < fire <= until and (schedule.fires_after is None or fire > schedule.fires_after)]


@given(schedules, CLOSE_TO_START)
@settings(max_examples=150, deadline=None)
def test_fire_times_are_the_slots_within_the_window_each_moved_by_its_jitter(schedule: Schedule, after: datetime) -> None:
    until = after + timedelta(hours=30)
    assert list(islice(schedule.fire_times(after, until), 500)) == listed(schedule, after, until)[:500]


@given(schedules, CLOSE_TO_START, st.integers(0, 4 * 86_400))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@example(Schedule("c", "cron", cron="* * * * *", starts_at=START, jitter_seconds=7200), START, 40_000)
@example(Schedule("c", "cron", cron="17 * * * *", fires_after=START, jitter_seconds=7200), START, 40_000)
def test_due_counts_what_a_list_would_hold(schedule: Schedule, after: datetime, seconds: int) -> None:
    first = schedule.next_fire_time(after)
    if first is None:
        return
    now = first + timedelta(seconds=seconds)
    expected = listed(schedule, first - timedelta(microseconds=1), now)
    due = schedule.due(first, now)
    assert (due.first, due.count, due.last) == (first, len(expected), expected[-1])
    assert due.following == schedule.next_fire_time(max(now, first))


@given(intervals | crons, CLOSE_TO_START)
@settings(max_examples=100, deadline=None)
def test_jitter_only_delays_and_stays_below_its_limit(schedule: Schedule, after: datetime) -> None:
    slot = schedule.slots.after(after)
    if slot is not None and schedule.jitter_seconds:
        assert timedelta() <= schedule._offset(slot) < timedelta(seconds=schedule.jitter_seconds)
        assert schedule._offset(slot) == Schedule.from_json(schedule.to_json())._offset(slot)


def test_jitter_spreads_jobs_and_slots() -> None:
    offsets = {Schedule(job, "interval", 60, jitter_seconds=30)._offset(START + timedelta(minutes=n)) for job in ("a", "b") for n in range(50)}
    assert len(offsets) == 100


@given(schedules)
@settings(max_examples=50, deadline=None)
def test_a_schedule_survives_being_stored_as_json(schedule: Schedule) -> None:
    assert Schedule.from_json(schedule.to_json()) == schedule


def test_a_week_of_seconds_is_one_due_and_no_list() -> None:
    schedule = Schedule("tick", "interval", 1, anchor=START - timedelta(days=100))
    first, now = START, START + timedelta(days=7) - timedelta(microseconds=1)
    schedule.due(first, now)
    tracemalloc.start()
    due = schedule.due(first, now)
    _current, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (due.first, due.count, due.last, due.following) == (START, 604_800, START + timedelta(seconds=604_799), START + timedelta(days=7))
    assert peak < 20_000


def test_three_years_of_a_cron_job_are_counted_without_a_list() -> None:
    schedule = Schedule("minutely", "cron", cron="* * * * *", timezone="Europe/Vienna")
    tracemalloc.start()
    due = schedule.due(datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    _current, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert due.count == 1096 * 1440 + 1
    assert peak < 200_000


def test_an_interval_keeps_its_anchor_whatever_the_time_it_is_asked() -> None:
    schedule = Schedule("a", "interval", 3600, anchor=START)
    asked = [schedule.next_fire_time(START + timedelta(minutes=minutes)) for minutes in (0, 1, 59)]
    assert asked == [START + timedelta(hours=1)] * 3
    assert schedule.next_fire_time(START - timedelta(days=400)) == START


@pytest.mark.parametrize("schedule", [Schedule("m", "manual"), Schedule("z", "interval", 0), Schedule("d", "interval", 5, enabled=False)])
def test_a_job_that_is_manual_zero_or_disabled_never_fires(schedule: Schedule) -> None:
    assert schedule.next_fire_time(START) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"trigger": "interval", "interval_seconds": 604_800},
        {"trigger": "interval", "interval_seconds": 86_400, "jitter_seconds": 600},
        {"trigger": "cron", "cron": "0 0 1 1 *", "timezone": "Pacific/Auckland"},
        {"trigger": "cron", "cron": "0 0 29 2 *"},
    ],
)
def test_a_job_that_is_paused_until_somebody_resumes_it_has_no_next_fire_time(fields: dict[str, str]) -> None:
    assert JobDefinition(id="x", created_at=START, paused_until=FOREVER, **fields).schedule.next_fire_time(START) is None


@pytest.mark.parametrize(
    ("fields", "first", "count"),
    [
        ({"trigger": "interval", "interval_seconds": 31_622_400, "starts_at": datetime(9999, 12, 31, 12, tzinfo=UTC)}, datetime(9999, 12, 31, 12, tzinfo=UTC), 1),
        (
            {"trigger": "interval", "interval_seconds": 90_000, "starts_at": datetime(9999, 12, 29, tzinfo=UTC), "jitter_seconds": 86_400},
            datetime(9999, 12, 29, tzinfo=UTC),
            2,
        ),
        ({"trigger": "once", "run_at": datetime(9999, 12, 30, 23, tzinfo=UTC), "jitter_seconds": 86_400}, datetime(9999, 12, 30, 23, tzinfo=UTC), 1),
        ({"trigger": "cron", "cron": "0 0 * * *", "timezone": "America/New_York", "starts_at": datetime(1, 1, 1, tzinfo=UTC)}, START, 3),
        ({"trigger": "interval", "interval_seconds": 1, "starts_at": datetime(1, 1, 1, tzinfo=UTC), "jitter_seconds": 60}, START, 3),
        ({"trigger": "interval", "interval_seconds": 60, "paused_until": datetime(1, 1, 1, tzinfo=UTC)}, START, 3),
    ],
)
def test_schedules_fire_at_both_ends_of_the_calendar(fields: dict[str, object], first: datetime, count: int) -> None:
    fires = JobDefinition(id="x", created_at=START, scheduled_from=START, **fields).schedule.upcoming(START, 3)
    assert len(fires) == count
    assert fires == sorted(set(fires))
    assert timedelta(0) <= fires[0] - first <= timedelta(days=1)


def test_slots_at_the_end_of_a_pause_and_later_fire_again() -> None:
    definition = JobDefinition(id="x", trigger="interval", interval_seconds=60, created_at=START, scheduled_from=START, paused_until=START + timedelta(minutes=5))
    assert definition.schedule.upcoming(START, 2) == [START + timedelta(minutes=5), START + timedelta(minutes=6)]


def test_slots_up_to_the_last_change_of_the_schedule_belong_to_the_one_before() -> None:
    definition = JobDefinition(id="x", trigger="interval", interval_seconds=60, created_at=START, scheduled_from=START + timedelta(minutes=5))
    assert definition.schedule.next_fire_time(START) == START + timedelta(minutes=6)


def test_starts_at_is_slot_zero_of_an_interval_and_ends_at_is_the_last_that_may_fire() -> None:
    definition = JobDefinition(id="x", trigger="interval", interval_seconds=60, created_at=START, scheduled_from=START)
    definition.starts_at, definition.ends_at = START + timedelta(seconds=30), START + timedelta(seconds=150)
    assert list(takewhile(bool, definition.schedule.upcoming(START, 9))) == [START + timedelta(seconds=second) for second in (30, 90, 150)]
