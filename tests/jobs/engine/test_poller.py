"""When the poller queries the tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest

from jobs.engine.due_queue import DueQueue
from jobs.engine.poller import DUE_ROWS_SECONDS, POLL_SECONDS, RELIABLE_POLL_SECONDS, Poller
from jobs.engine.statements import PendingWork
from tests.jobs.engine.manual_scheduler import START, seconds


@dataclass
class FakeDatabase:
    """The answer of the pending-work query, whether a change is notified, and a monotonic clock."""

    is_reliable: bool = False
    pending_: PendingWork = field(default_factory=lambda: PendingWork(unapplied=False, next_run_time=None, next_request=None, cancelled=False))
    changed: bool = False
    monotonic_: float = 100.0

    def pending_work(self, instance: str) -> PendingWork:
        return self.pending_

    def has_changes(self) -> bool:
        changed, self.changed = self.changed, False
        return changed

    def monotonic(self) -> float:
        return self.monotonic_

    def set_pending(self, next_run_time: datetime | None = None, next_request: datetime | None = None) -> None:
        self.pending_ = PendingWork(unapplied=False, next_run_time=next_run_time, next_request=next_request, cancelled=False)


@pytest.fixture
def database() -> Any:
    database = FakeDatabase()
    with patch("jobs.engine.poller.time", database):
        yield database


def poller_of(database: Any, due_queue: DueQueue | None = None, *, always: bool = False) -> Poller:
    return Poller(database, database, due_queue or DueQueue(), always=always)


def test_the_tables_are_polled_every_200_ms_and_after_a_change(database: FakeDatabase) -> None:
    poller = poller_of(database)
    assert poller.poll(START, "one") is database.pending_
    assert poller.poll(START, "one") is None
    database.changed = True
    assert poller.poll(START, "one") is not None
    assert poller.poll(START, "one") is None
    poller.again = True
    assert poller.poll(START, "one") is not None
    database.monotonic_ += POLL_SECONDS
    assert poller.poll(START, "one") is not None
    assert poller.poll(START, "one") is None


def test_with_a_reliable_notifier_the_tables_are_polled_once_a_second(database: FakeDatabase) -> None:
    database.is_reliable = True
    poller = poller_of(database)
    assert poller.poll(START, "one") is not None
    database.monotonic_ += RELIABLE_POLL_SECONDS - 0.01
    assert poller.poll(START, "one") is None
    database.monotonic_ += 0.01
    assert poller.poll(START, "one") is not None
    database.changed = True
    assert poller.poll(START, "one") is not None


def test_a_scheduler_with_once_polls_at_every_tick(database: FakeDatabase) -> None:
    poller = poller_of(database, always=True)
    assert all(poller.poll(START, "one") for _ in range(3))


def test_the_tables_are_polled_when_announced_work_comes_due(database: FakeDatabase) -> None:
    poller = poller_of(database)
    database.set_pending(next_run_time=START + seconds(0.05), next_request=START + seconds(0.1))
    poller.poll(START, "one")
    assert poller.next_at == START + seconds(0.05)
    assert poller.poll(START + seconds(0.04), "one") is None
    pending = poller.poll(START + seconds(0.05), "one")
    assert pending is not None
    assert poller.must_claim_rows(pending, START + seconds(0.05))
    assert poller.next_at == START + seconds(0.1)


def test_the_fire_time_of_a_known_job_causes_no_poll(database: FakeDatabase) -> None:
    due_queue = DueQueue()
    due_queue.put("one", "a", START + seconds(0.05))
    poller = poller_of(database, due_queue)
    database.set_pending(next_run_time=START + seconds(0.05))
    poller.poll(START, "one")
    assert poller.next_at is None
    assert poller.poll(START + seconds(0.05), "one") is None


def test_rows_are_claimed_once_a_second_while_a_known_job_is_the_first_due(database: FakeDatabase) -> None:
    """A pool has been full for long, so its known jobs came due before all unknown ones."""
    due_queue = DueQueue()
    due_queue.put("one", "a", START - seconds(600))
    poller = poller_of(database, due_queue)
    database.set_pending(next_run_time=START - seconds(600))
    claimed = []
    for _ in range(20):
        database.monotonic_ += POLL_SECONDS
        pending = poller.poll(START, "one")
        assert pending is not None
        claimed.append(poller.must_claim_rows(pending, START))
    assert claimed.count(True) == 20 * POLL_SECONDS / DUE_ROWS_SECONDS
