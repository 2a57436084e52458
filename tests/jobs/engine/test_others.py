"""Another instance is taken for dead only by one whose own heartbeats came on time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.others import ON_TIME, Others

pytestmark = pytest.mark.once


class Time:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time() -> Iterator[Time]:
    moved = Time()
    with patch("jobs.engine.others.time", moved):
        yield moved


def watch(time: Time, *steps: tuple[float, dict[str, str | None]]) -> list[set[str]]:
    """The suspects that an instance names at each heartbeat; a step is the seconds since the heartbeat before, and what it reads."""
    others = Others()
    found = []
    for seconds, heartbeats in steps:
        time.now += seconds
        found.append(others.note(heartbeats))
    return found


def test_one_that_does_not_change_during_two_own_heartbeats_is_silent(time: Time) -> None:
    assert watch(time, (2, {"a": "1"}), (2, {"a": "1"}), (2, {"a": "1"})) == [set(), set(), {"a"}]


def test_one_that_changes_is_never_silent_whatever_its_clock_says(time: Time) -> None:
    assert watch(time, (2, {"a": "1"}), (2, {"a": "1"}), (2, {"a": "0"}), (2, {"a": "0"}), (2, {"a": "3"})) == [set()] * 5


def test_after_a_late_own_heartbeat_the_others_get_their_time_again(time: Time) -> None:
    """A locked database or a stopped machine held everybody up."""
    same: dict[str, str | None] = {"a": "1"}
    assert watch(time, (2, same), (2, same), (ON_TIME + 0.1, same), (2, same), (2, same)) == [set(), set(), set(), set(), {"a"}]


def test_an_owner_without_a_row_is_watched_for_as_long(time: Time) -> None:
    assert watch(time, (2, {"gone": None}), (2, {"gone": None}), (2, {"gone": None})) == [set(), set(), {"gone"}]


@given(st.lists(st.tuples(st.floats(0.1, 20), st.booleans()), min_size=3, max_size=30))
def test_whoever_is_found_silent_was_silent_during_two_heartbeats_on_time(steps: list[tuple[float, bool]]) -> None:
    moved, others, text = Time(), Others(), 0
    history: list[tuple[float, int]] = []
    with patch("jobs.engine.others.time", moved):
        for seconds, changes in steps:
            moved.now += seconds
            text += changes
            found = others.note({"a": str(text)})
            history.append((moved.now, text))
            recent = history[-3:]
            gaps = [after[0] - before[0] for before, after in pairwise(recent)]
            expected = len(recent) == 3 and len({each for _at, each in recent}) == 1 and max(gaps) <= ON_TIME
            assert found == ({"a"} if expected else set())
