from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.models import Status
from jobs.schedule.policy import CATCH_UP_LIMIT, Answer, Policy, decide
from jobs.schedule.schedule import Due, Schedule

START = datetime(2030, 1, 1, tzinfo=UTC)
EACH_SECOND = Schedule("a", "interval", 1, anchor=START)
pytestmark = pytest.mark.once

schedules = st.builds(Schedule, st.just("a"), st.just("interval"), st.integers(1, 90), anchor=st.just(START)) | st.builds(
    Schedule, st.just("a"), st.just("cron"), cron=st.sampled_from(["* * * * *", "*/7 * * * *", "5,6 * * * *"]), jitter_seconds=st.sampled_from([0, 50])
)
policies = st.builds(Policy, st.booleans(), st.integers(1, 4), st.none() | st.integers(0, 4000))


def due_after(number: int, schedule: Schedule = EACH_SECOND) -> Due:
    """The first `number` slots, all due."""
    return schedule.due(START, START + timedelta(seconds=number - 1))


def starts(answers: list[Answer]) -> list[datetime]:
    return [answer.slot for answer in answers if answer.status in {Status.RUNNING, Status.QUEUED}]


@given(schedules, policies, st.integers(0, 20_000), st.integers(0, 200), st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_every_slot_is_accounted_for_once_and_in_order(schedule: Schedule, policy: Policy, down: int, waited: int, occupied: int) -> None:
    first = schedule.next_fire_time(START)
    assert first is not None
    due = schedule.due(first, first + timedelta(seconds=down))
    answers = decide(schedule, policy, due, due.last + timedelta(seconds=waited), occupied, blocking_run_id=1)
    slots = [answer.slot for answer in answers]
    assert sum(answer.slots for answer in answers) == due.count
    assert slots == sorted(set(slots))
    assert slots[-1] == due.last
    before = first - timedelta(microseconds=1)
    for answer in answers:
        between = list(schedule.fire_times(before, answer.slot))
        assert (len(between), between[-1]) == (answer.slots, answer.slot)
        before = answer.slot


@given(schedules, policies, st.integers(0, 20_000), st.integers(0, 200), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_what_runs_is_on_time_within_the_room_and_at_most_a_hundred(schedule: Schedule, policy: Policy, down: int, waited: int, occupied: int) -> None:
    first = schedule.next_fire_time(START)
    assert first is not None
    due = schedule.due(first, first + timedelta(seconds=down))
    judged_at = due.last + timedelta(seconds=waited)
    answers = decide(schedule, policy, due, judged_at, occupied, blocking_run_id=1)
    assert len(starts(answers)) <= (1 if policy.coalesce else CATCH_UP_LIMIT)
    assert not any(policy.is_late(slot, judged_at) for slot in starts(answers))
    at_once = sum(answer.status == Status.RUNNING for answer in answers)
    assert at_once <= max(policy.max_instances - occupied, 0)
    if occupied < policy.max_instances and not policy.is_late(due.last, judged_at):
        assert due.last in starts(answers)


def test_several_slots_become_one_run_that_says_so() -> None:
    (answer,) = decide(EACH_SECOND, Policy(), due_after(10), START + timedelta(seconds=9), 0)
    assert (answer.slot, answer.slots, answer.status) == (START + timedelta(seconds=9), 10, Status.RUNNING)
    assert answer.reason == f"covers 10 scheduled times since {START.isoformat()}"


def test_a_single_slot_on_time_needs_no_reason() -> None:
    assert decide(EACH_SECOND, Policy(), due_after(1), START, 0) == [Answer(START, 1, Status.RUNNING)]


@pytest.mark.parametrize(("late", "status"), [(60.0, Status.RUNNING), (60.000001, Status.MISSED)])
def test_the_grace_ends_after_its_last_microsecond(late: float, status: Status) -> None:
    (answer,) = decide(EACH_SECOND, Policy(misfire_grace_seconds=60), due_after(1), START + timedelta(seconds=late), 0)
    assert answer.status == status


def test_without_a_grace_late_is_never_lost() -> None:
    (answer,) = decide(EACH_SECOND, Policy(misfire_grace_seconds=None), due_after(1), START + timedelta(days=400), 0)
    assert answer.status == Status.RUNNING


def test_lateness_counts_to_the_time_of_judgement_and_not_to_the_claim() -> None:
    """A slot that waited for room is judged by the time at which the lane became full."""
    due = due_after(1)
    (answer,) = decide(EACH_SECOND, Policy(misfire_grace_seconds=1), due, judged_at=START + timedelta(seconds=0.5), occupied=0)
    assert answer.status == Status.RUNNING


def test_a_missed_slot_says_how_late_it_was_and_what_would_have_been_on_time() -> None:
    (answer,) = decide(EACH_SECOND, Policy(), due_after(1), START + timedelta(seconds=90), 0)
    assert answer.reason == "90.0 s late, 60 s allowed"


@pytest.mark.parametrize("coalesce", [True, False])
def test_slots_that_meet_a_full_house_are_skipped_and_name_the_run_they_met(coalesce: bool) -> None:
    (answer,) = decide(EACH_SECOND, Policy(coalesce, max_instances=2), due_after(7), START + timedelta(seconds=7), occupied=2, blocking_run_id=41)
    assert answer == Answer(START + timedelta(seconds=6), 7, Status.SKIPPED, "run 41 was still in progress")


def test_a_late_slot_is_missed_even_when_the_house_is_full() -> None:
    (answer,) = decide(EACH_SECOND, Policy(), due_after(1), START + timedelta(seconds=61), occupied=1, blocking_run_id=41)
    assert answer.status == Status.MISSED


def test_without_coalescing_a_hundred_slots_still_run_and_the_rest_is_one_missed_row() -> None:
    answers = decide(EACH_SECOND, Policy(coalesce=False, misfire_grace_seconds=None), due_after(1000), START + timedelta(seconds=1000), 0)
    missed, *kept = answers
    assert (missed.status, missed.slot, missed.slots) == (Status.MISSED, START + timedelta(seconds=899), 900)
    assert missed.reason == "only the last 100 scheduled times are caught up with"
    assert [answer.slot for answer in kept] == [START + timedelta(seconds=n) for n in range(900, 1000)]
    assert [answer.status for answer in kept] == [Status.RUNNING] + [Status.QUEUED] * 99


def test_without_coalescing_as_many_start_at_once_as_may_run_at_once() -> None:
    answers = decide(EACH_SECOND, Policy(coalesce=False, max_instances=3), due_after(5), START + timedelta(seconds=5), occupied=1, blocking_run_id=1)
    assert [answer.status for answer in answers] == [Status.RUNNING, Status.RUNNING, Status.QUEUED, Status.QUEUED, Status.QUEUED]


def test_without_coalescing_only_the_slots_within_the_grace_run() -> None:
    answers = decide(EACH_SECOND, Policy(coalesce=False, misfire_grace_seconds=3), due_after(50), START + timedelta(seconds=50), 0)
    assert [(answer.status, answer.slots) for answer in answers] == [(Status.MISSED, 47), (Status.RUNNING, 1), (Status.QUEUED, 1), (Status.QUEUED, 1)]
