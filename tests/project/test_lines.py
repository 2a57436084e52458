"""The lines that structlog writes by itself: whole, never in the way of what they tell of, and what the slower way would say."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from jobs.engine.run import ClaimedRun
from jobs.registry import enter_run, leave_run
from jobs.run_log import copy_to_run
from tests.support.waiting import wait_until
from vsadmin import logging as house
from vsadmin.lines import ATOMIC, Lines

pytestmark = pytest.mark.once


@pytest.mark.parametrize("sizes", [[1, 80, ATOMIC - 1], [ATOMIC, ATOMIC + 1, 5 * ATOMIC + 7]], ids=["short", "long"])
def test_lines_of_many_threads_come_whole(sizes: list[int]) -> None:
    reader, writer = os.pipe()
    lines = Lines(writer)

    def write(number: int) -> None:
        for _ in range(50):
            lines.info(str(number).encode() * sizes[number])

    threads = [threading.Thread(target=write, args=[number]) for number in range(len(sizes))]
    for thread in threads:
        thread.start()
    with os.fdopen(reader, "rb") as pipe:
        written = [pipe.readline().rstrip(b"\n") for _ in range(50 * len(sizes))]
    for thread in threads:
        thread.join(10)
    os.close(writer)
    assert sorted(written) == sorted(str(number).encode() * size for number, size in enumerate(sizes) for _ in range(50))


def test_a_log_that_nobody_reads_any_more_breaks_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lines = Lines(writer)
    lines.info(b"a line")
    lines.info(b"one that waits")
    lines.error(b"long " * ATOMIC)
    os.close(writer)


class Noted(Lines):
    """Lines that go nowhere; `written` has an entry for each write."""

    def __init__(self) -> None:
        super().__init__(99)
        self.written: list[bytes] = []

    def _write(self, rest: bytes) -> None:
        self.written.append(rest)


def test_a_line_by_itself_is_written_at_once_and_many_are_written_together_in_their_order() -> None:
    lines = Noted()
    lines.info(b"first")
    assert lines.written == [b"first\n"]
    for number in range(1000):
        lines.info(b"line %d" % number)
    wait_until(lambda: lines.written[-1].endswith(b"line 999\n"))
    assert b"".join(lines.written).splitlines() == [b"first", *(b"line %d" % number for number in range(1000))]
    assert all(len(data) <= ATOMIC for data in lines.written)
    assert len(lines.written) < 200


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_what_went_wrong_takes_along_what_waits(level: str) -> None:
    lines = Noted()
    for line in (b"first", b"second", b"third"):
        lines.info(line)
    getattr(lines, level)(b"last")
    assert b"".join(lines.written) == b"first\nsecond\nthird\nlast\n"


def test_what_waits_at_the_end_of_a_process_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.lines.TOGETHER_SECONDS", 60.0)
    lines = Noted()
    lines.info(b"first")
    lines.info(b"last")
    assert lines.written == [b"first\n"]
    lines._handler.flush()  # as logging.shutdown() does
    assert lines.written == [b"first\n", b"last\n"]


def test_a_reader_that_does_not_read_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.lines.TOGETHER_SECONDS", 60.0)
    monkeypatch.setattr("vsadmin.lines.MOST_KEPT", 10)
    lines = Noted()
    for number in range(12):
        lines.info(b"line %d" % number)
    assert b"".join(lines.written).splitlines() == [b"line %d" % number for number in range(12)]


@pytest.fixture
def bound() -> Iterator[None]:
    structlog.contextvars.bind_contextvars(request_id="r-1")
    yield
    structlog.contextvars.clear_contextvars()


def slowly(method: str, event: dict[str, Any]) -> dict[str, Any]:
    """What the processors make of an event, one after the other."""
    made: Any = event
    steps: list[Any] = [*house._shared_processors(), copy_to_run, house._stack, *house._renderers()]
    for processor in steps:
        made = processor(None, method, made)
    return json.loads(made)  # type: ignore[no-any-return]  # an object


def events() -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = [{"event": "plain"}, {"event": "fields", "job": "mine", "moment": datetime(2030, 1, 1, tzinfo=UTC)}]
    try:
        int("too hot")
    except ValueError as error:
        plain.append({"event": "error", "exc_info": error})
    return plain


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside a run"])
@pytest.mark.parametrize("event", events(), ids=lambda event: event["event"])
def test_the_quick_way_says_what_the_processors_say(event: dict[str, Any], *, inside: bool) -> None:
    fast_run, slow_run = (ClaimedRun(7, "a", datetime(2030, 1, 1, tzinfo=UTC), "none", {}) if inside else None for _ in range(2))
    token = enter_run(fast_run)
    fast = json.loads(house._json_line(None, "warning", dict(event)))
    leave_run(token)
    token = enter_run(slow_run)
    slow = slowly("warning", dict(event))
    leave_run(token)
    assert datetime.fromisoformat(fast.pop("timestamp")).tzinfo == datetime.fromisoformat(slow.pop("timestamp")).tzinfo == UTC
    assert fast == slow
    assert ("run_id" in fast) is inside
    if fast_run is not None and slow_run is not None:
        assert str(fast_run.log).partition(" ")[2] == str(slow_run.log).partition(" ")[2]
