"""What a scheduler knows of when jobs come due, against a plain dictionary."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.due_queue import LATEST_SHARE, OUTDATED, Agenda
from tests.jobs.engine.manual_scheduler import START, seconds

JOBS = st.sampled_from(["a", "b", "c", "d", "e"])
LANES = st.sampled_from(["one", "two"])
MOMENTS = st.integers(0, 20).map(lambda number: START + seconds(number))
puts = st.tuples(st.just("put"), LANES, JOBS, MOMENTS | st.none())
takes = st.tuples(st.just("take"), LANES, st.integers(0, 4), MOMENTS)


@given(st.lists(puts | takes))
def test_a_job_has_its_last_appointment_and_keeps_it_once(steps: list[tuple[str, str, str | int, datetime | None]]) -> None:
    agenda, expected = Agenda(), dict[str, tuple[datetime, str]]()
    latest = START
    for step, lane, what, moment in steps:
        if step == "put":
            agenda.put(lane, str(what), moment)
            expected.pop(str(what), None)
            if moment is not None:
                expected[str(what)] = (moment, lane)
        elif moment is not None:
            latest = max(latest, moment)
            taken = agenda.take(lane, latest, int(what))
            due = sorted(when for when, where in expected.values() if where == lane and when <= latest)
            assert len(taken) == min(int(what), len(due))
            for when, job_id in taken:
                assert expected.pop(job_id) == (when, lane)
            assert agenda.is_due(lane) >= (len(due) > len(taken))
        assert agenda.earliest == min((when for when, _lane in expected.values()), default=None)
        ahead = agenda.next_moment
        assert ahead is None or ahead in [when for when, _lane in expected.values()]


def test_the_longest_due_come_first_and_every_fourth_is_the_latest() -> None:
    agenda = Agenda()
    for number in range(12):
        agenda.put("one", f"job-{number}", START + seconds(number))
    taken = [job_id for _moment, job_id in agenda.take("one", START + seconds(60), 4) + agenda.take("one", START + seconds(60), 4)]
    assert LATEST_SHARE == 4
    assert taken == ["job-0", "job-1", "job-2", "job-11", "job-3", "job-4", "job-5", "job-10"]


def test_appointments_that_edits_put_off_do_not_pile_up() -> None:
    agenda = Agenda()
    for number in range(10 * OUTDATED):
        agenda.put("one", "edited", START + seconds(1_000_000 + number))
    assert len(agenda._lanes["one"].ahead) <= OUTDATED + 3
    assert agenda.next_moment == START + seconds(1_000_000 + 10 * OUTDATED - 1)
