"""When a scheduler asks the rows, and when it goes by what it knows."""

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
class World:
    """Rows that say `pending`, a change that `noticed` tells of, and a monotonic clock."""

    is_reliable: bool = False
    pending_: PendingWork = field(default_factory=lambda: PendingWork(unapplied=False, next_run_time=None, next_request=None, cancelled=False))
    changed: bool = False
    monotonic_: float = 100.0

    def pending_work(self, instance: str) -> PendingWork:
        return self.pending_

    def has_changes(self) -> bool:
        noticed, self.changed = self.changed, False
        return noticed

    def monotonic(self) -> float:
        return self.monotonic_

    def says(self, next_run_time: datetime | None = None, next_request: datetime | None = None) -> None:
        self.pending_ = PendingWork(unapplied=False, next_run_time=next_run_time, next_request=next_request, cancelled=False)


@pytest.fixture
def world() -> Any:
    world = World()
    with patch("jobs.engine.poller.time", world):
        yield world


def poller_of(world: Any, due_queue: DueQueue | None = None, *, always: bool = False) -> Poller:
    return Poller(world, world, due_queue or DueQueue(), always=always)


def test_the_rows_are_asked_every_so_often_and_when_something_has_changed(world: World) -> None:
    poller = poller_of(world)
    assert poller.poll(START, "one") is world.pending_
    assert poller.poll(START, "one") is None
    world.changed = True
    assert poller.poll(START, "one") is not None
    assert poller.poll(START, "one") is None
    poller.again = True
    assert poller.poll(START, "one") is not None
    world.monotonic_ += POLL_SECONDS
    assert poller.poll(START, "one") is not None
    assert poller.poll(START, "one") is None


def test_where_every_change_is_told_of_the_rows_are_asked_once_a_second(world: World) -> None:
    world.is_reliable = True
    poller = poller_of(world)
    assert poller.poll(START, "one") is not None
    world.monotonic_ += RELIABLE_POLL_SECONDS - 0.01
    assert poller.poll(START, "one") is None
    world.monotonic_ += 0.01
    assert poller.poll(START, "one") is not None
    world.changed = True
    assert poller.poll(START, "one") is not None


def test_a_scheduler_that_runs_once_asks_every_time(world: World) -> None:
    poller = poller_of(world, always=True)
    assert all(poller.poll(START, "one") for _ in range(3))


def test_announced_work_is_polled_for_when_it_comes_due(world: World) -> None:
    poller = poller_of(world)
    world.says(next_run_time=START + seconds(0.05), next_request=START + seconds(0.1))
    poller.poll(START, "one")
    assert poller.next_at == START + seconds(0.05)
    assert poller.poll(START + seconds(0.04), "one") is None
    pending = poller.poll(START + seconds(0.05), "one")
    assert pending is not None
    assert poller.must_claim_rows(pending, START + seconds(0.05))
    assert poller.next_at == START + seconds(0.1)


def test_the_fire_time_of_a_known_job_causes_no_poll(world: World) -> None:
    due_queue = DueQueue()
    due_queue.put("one", "a", START + seconds(0.05))
    poller = poller_of(world, due_queue)
    world.says(next_run_time=START + seconds(0.05))
    poller.poll(START, "one")
    assert poller.next_at is None
    assert poller.poll(START + seconds(0.05), "one") is None


def test_rows_that_hide_behind_what_is_known_are_asked_for_once_a_second(world: World) -> None:
    """A pool that has been full for long: what is known of it is older than anything else that is due."""
    due_queue = DueQueue()
    due_queue.put("one", "a", START - seconds(600))
    poller = poller_of(world, due_queue)
    world.says(next_run_time=START - seconds(600))
    asked = []
    for _ in range(20):
        world.monotonic_ += POLL_SECONDS
        pending = poller.poll(START, "one")
        assert pending is not None
        asked.append(poller.must_claim_rows(pending, START))
    assert asked.count(True) == 20 * POLL_SECONDS / DUE_ROWS_SECONDS
