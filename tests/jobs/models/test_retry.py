from __future__ import annotations

import pytest

from jobs.models import Status
from jobs.models.retry import next_attempt, retry_at
from tests.jobs.engine.manual_scheduler import START, seconds


@pytest.mark.parametrize("backoff", [1, 30, 7200])
def test_the_wait_before_a_retry_doubles_up_to_an_hour_and_varies_by_a_tenth(backoff: int) -> None:
    waits = [[(retry_at(attempt, backoff, START) - START).total_seconds() for _ in range(50)] for attempt in range(1, 30)]
    for attempt, found in enumerate(waits, start=1):
        wait = min(backoff * 2 ** (attempt - 1), max(3600, backoff))
        assert wait <= min(found) < max(found) <= wait * 1.1


def test_the_next_attempt_serves_the_same_slot_and_says_how_the_last_one_ended() -> None:
    row = next_attempt(job_id="a", scheduled_for=START, attempt=2, status=Status.TIMED_OUT, finished_at=START + seconds(9), backoff_seconds=5, kwargs={"limit": 3})
    assert (row.job_id, row.scheduled_for, row.attempt, row.cause, row.status) == ("a", START, 3, "retry", "queued")
    assert (row.queued_at, row.kwargs, row.reason) == (START + seconds(9), {"limit": 3}, "attempt 2 timed out")
