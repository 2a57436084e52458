"""What a scheduler knows of when jobs come due, against a plain dictionary."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.due_queue import LATEST_SHARE, OUTDATED, DueQueue
from tests.jobs.engine.manual_scheduler import START, seconds

JOBS = st.sampled_from(["a", "b", "c", "d", "e"])
LANES = st.sampled_from(["one", "two"])
MOMENTS = st.integers(0, 20).map(lambda number: START + seconds(number))
puts = st.tuples(st.just("put"), LANES, JOBS, MOMENTS | st.none())
takes = st.tuples(st.just("take"), LANES, st.integers(0, 4), MOMENTS)


@given(st.lists(puts | takes))
def test_a_job_has_its_last_appointment_and_keeps_it_once(steps: list[tuple[str, str, str | int, datetime | None]]) -> None:
    due_queue, expected = DueQueue(), dict[str, tuple[datetime, str]]()
    latest = START
    for step, pool, what, moment in steps:
        if step == "put":
            due_queue.put(pool, str(what), moment)
            expected.pop(str(what), None)
            if moment is not None:
                expected[str(what)] = (moment, pool)
        elif moment is not None:
            latest = max(latest, moment)
            taken = due_queue.take(pool, latest, int(what))
            due = sorted(when for when, where in expected.values() if where == pool and when <= latest)
            assert len(taken) == min(int(what), len(due))
            for when, job_id in taken:
                assert expected.pop(job_id) == (when, pool)
            assert due_queue.is_due(pool) >= (len(due) > len(taken))
        assert due_queue.earliest == min((when for when, _lane in expected.values()), default=None)
        ahead = due_queue.next_at
        assert ahead is None or ahead in [when for when, _lane in expected.values()]


def test_the_longest_due_come_first_and_every_fourth_is_the_latest() -> None:
    due_queue = DueQueue()
    for number in range(12):
        due_queue.put("one", f"job-{number}", START + seconds(number))
    taken = [job_id for _moment, job_id in due_queue.take("one", START + seconds(60), 4) + due_queue.take("one", START + seconds(60), 4)]
    assert LATEST_SHARE == 4
    assert taken == ["job-0", "job-1", "job-2", "job-11", "job-3", "job-4", "job-5", "job-10"]


def test_fire_times_that_edits_replace_do_not_pile_up() -> None:
    due_queue = DueQueue()
    for number in range(10 * OUTDATED):
        due_queue.put("one", "edited", START + seconds(1_000_000 + number))
    assert len(due_queue._pools["one"].future) <= OUTDATED + 3
    assert due_queue.next_at == START + seconds(1_000_000 + 10 * OUTDATED - 1)
