"""The due queue, compared with a dictionary."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.due_queue import LATEST_SHARE, OUTDATED, DueQueue
from tests.jobs.engine.manual_scheduler import START, seconds

JOBS = st.sampled_from(["a", "b", "c", "d", "e"])
POOLS = st.sampled_from(["one", "two"])
TIMES = st.integers(0, 20).map(lambda number: START + seconds(number))
puts = st.tuples(st.just("put"), POOLS, JOBS, TIMES | st.none())
takes = st.tuples(st.just("take"), POOLS, st.integers(0, 4), TIMES)


@given(st.lists(puts | takes))
def test_a_job_has_its_last_fire_time_and_is_taken_once(steps: list[tuple[str, str, str | int, datetime | None]]) -> None:
    due_queue, expected = DueQueue(), dict[str, tuple[datetime, str]]()
    latest = START
    for step, pool, argument, time in steps:
        if step == "put":
            due_queue.put(pool, str(argument), time)
            expected.pop(str(argument), None)
            if time is not None:
                expected[str(argument)] = (time, pool)
        elif time is not None:
            latest = max(latest, time)
            taken = due_queue.take(pool, latest, int(argument))
            due = sorted(at for at, of_pool in expected.values() if of_pool == pool and at <= latest)
            assert len(taken) == min(int(argument), len(due))
            for at, job_id in taken:
                assert expected.pop(job_id) == (at, pool)
            assert due_queue.is_due(pool) >= (len(due) > len(taken))
        assert due_queue.earliest == min((at for at, _pool in expected.values()), default=None)
        next_at = due_queue.next_at
        assert next_at is None or next_at in [at for at, _pool in expected.values()]


def test_the_jobs_that_came_due_first_are_taken_first_and_every_fourth_is_the_latest() -> None:
    due_queue = DueQueue()
    for number in range(12):
        due_queue.put("one", f"job-{number}", START + seconds(number))
    taken = [job_id for _at, job_id in due_queue.take("one", START + seconds(60), 4) + due_queue.take("one", START + seconds(60), 4)]
    assert LATEST_SHARE == 4
    assert taken == ["job-0", "job-1", "job-2", "job-11", "job-3", "job-4", "job-5", "job-10"]


def test_replaced_fire_times_are_dropped_before_they_come_due() -> None:
    due_queue = DueQueue()
    for number in range(10 * OUTDATED):
        due_queue.put("one", "edited", START + seconds(1_000_000 + number))
    assert len(due_queue._pools["one"].future) <= OUTDATED + 3
    assert due_queue.next_at == START + seconds(1_000_000 + 10 * OUTDATED - 1)
