"""When a scheduler asks the rows, and when it goes by what it knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest

from jobs.engine.due_queue import Agenda
from jobs.engine.poller import DUE_ROWS_SECONDS, LOOK_SECONDS, SURE_SECONDS, Lookout
from jobs.engine.statements import Peek
from tests.jobs.engine.manual_scheduler import START, seconds


@dataclass
class World:
    """Rows that say `peek`, a change that `noticed` tells of, and a monotonic clock."""

    tells_all: bool = False
    peek_: Peek = field(default_factory=lambda: Peek(unapplied=False, next_run_time=None, next_request=None, cancelled=False))
    changed: bool = False
    monotonic_: float = 100.0

    def peek(self, instance: str) -> Peek:
        return self.peek_

    def noticed(self) -> bool:
        noticed, self.changed = self.changed, False
        return noticed

    def monotonic(self) -> float:
        return self.monotonic_

    def says(self, next_run_time: datetime | None = None, next_request: datetime | None = None) -> None:
        self.peek_ = Peek(unapplied=False, next_run_time=next_run_time, next_request=next_request, cancelled=False)


@pytest.fixture
def world() -> Any:
    world = World()
    with patch("jobs.engine.poller.time", world):
        yield world


def lookout(world: Any, agenda: Agenda | None = None, *, always: bool = False) -> Lookout:
    return Lookout(world, world, agenda or Agenda(), always=always)


def test_the_rows_are_asked_every_so_often_and_when_something_has_changed(world: World) -> None:
    watch = lookout(world)
    assert watch.look(START, "one") is world.peek_
    assert watch.look(START, "one") is None
    world.changed = True
    assert watch.look(START, "one") is not None
    assert watch.look(START, "one") is None
    watch.again = True
    assert watch.look(START, "one") is not None
    world.monotonic_ += LOOK_SECONDS
    assert watch.look(START, "one") is not None
    assert watch.look(START, "one") is None


def test_where_every_change_is_told_of_the_rows_are_asked_once_a_second(world: World) -> None:
    world.tells_all = True
    watch = lookout(world)
    assert watch.look(START, "one") is not None
    world.monotonic_ += SURE_SECONDS - 0.01
    assert watch.look(START, "one") is None
    world.monotonic_ += 0.01
    assert watch.look(START, "one") is not None
    world.changed = True
    assert watch.look(START, "one") is not None


def test_a_scheduler_that_runs_once_asks_every_time(world: World) -> None:
    watch = lookout(world, always=True)
    assert all(watch.look(START, "one") for _ in range(3))


def test_what_the_rows_announce_is_looked_at_when_it_comes_due(world: World) -> None:
    watch = lookout(world)
    world.says(next_run_time=START + seconds(0.05), next_request=START + seconds(0.1))
    watch.look(START, "one")
    assert watch.next_moment == START + seconds(0.05)
    assert watch.look(START + seconds(0.04), "one") is None
    peek = watch.look(START + seconds(0.05), "one")
    assert peek is not None
    assert watch.is_unknown_due(peek, START + seconds(0.05))
    assert watch.next_moment == START + seconds(0.1)


def test_what_is_known_to_come_due_no_later_need_not_be_looked_for(world: World) -> None:
    agenda = Agenda()
    agenda.put("one", "a", START + seconds(0.05))
    watch = lookout(world, agenda)
    world.says(next_run_time=START + seconds(0.05))
    watch.look(START, "one")
    assert watch.next_moment is None
    assert watch.look(START + seconds(0.05), "one") is None


def test_rows_that_hide_behind_what_is_known_are_asked_for_once_a_second(world: World) -> None:
    """A lane that has been full for long: what is known of it is older than anything else that is due."""
    agenda = Agenda()
    agenda.put("one", "a", START - seconds(600))
    watch = lookout(world, agenda)
    world.says(next_run_time=START - seconds(600))
    asked = []
    for _ in range(20):
        world.monotonic_ += LOOK_SECONDS
        peek = watch.look(START, "one")
        assert peek is not None
        asked.append(watch.is_unknown_due(peek, START))
    assert asked.count(True) == 20 * LOOK_SECONDS / DUE_ROWS_SECONDS
