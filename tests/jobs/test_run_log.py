from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.engine.execute import run_sync
from jobs.engine.run import ClaimedRun
from jobs.registry import enter_run, job, leave_run, unregister
from jobs.run_log import LIMIT, RunLog, capture_logs, cut_middle, to_json
from jobs.storable import MAX_DEPTH, make_storable

NOW = datetime(2030, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.once
stdlib, structured = logging.getLogger("some.library"), structlog.get_logger("some.job")


@pytest.fixture
def run() -> Iterator[ClaimedRun]:
    """A run that this test is inside of, while its log is being captured."""
    handler = capture_logs()
    run = ClaimedRun(1, "a", NOW, "none", {})
    token = enter_run(run)
    yield run
    leave_run(token)
    logging.getLogger().removeHandler(handler)


def test_what_a_job_logs_either_way_is_in_its_log(run: ClaimedRun) -> None:
    stdlib.warning("stdlib says %s", "hello")
    structured.info("structlog_says", number=3, run_id=1)
    first, second = str(run.log).splitlines()
    assert first.endswith(" warning stdlib says hello")
    assert second.endswith(" info structlog_says number=3")


def test_the_runners_own_two_lines_are_not_in_it() -> None:
    handler = capture_logs()
    job("tests_function")(lambda: stdlib.warning("mine"))
    done = run_sync(ClaimedRun(1, "a", NOW, "tests_function", {}), lambda: NOW)
    unregister("tests_function")
    logging.getLogger().removeHandler(handler)
    assert len(done.log.splitlines()) == 1
    assert done.log.endswith("warning mine")


def test_nothing_is_captured_outside_a_run(run: ClaimedRun) -> None:
    token = enter_run(None)
    stdlib.warning("outside")
    leave_run(token)
    assert run.log is None


def test_an_exception_is_logged_with_its_traceback(run: ClaimedRun) -> None:
    try:
        int("too hot")
    except ValueError:
        stdlib.exception("it broke")
    assert "it broke\nTraceback (most recent call last):" in str(run.log)
    assert str(run.log).endswith("'too hot'")


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def test_a_log_call_that_cannot_be_formatted_does_not_break_the_job(run: ClaimedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library's handlers print such mistakes and go on; so does this one."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    stdlib.warning("%d apples", "many")
    stdlib.warning("afterwards")
    assert str(run.log).endswith("afterwards")


@pytest.mark.parametrize("value", [Unspeakable(), "half \ud83d", 2**70, [10**5000], object(), {1: {2}}, b"\xff"], ids=lambda value: type(value).__name__)
def test_whatever_a_job_logs_does_not_break_it(run: ClaimedRun, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)  # pytest's own handler would
    structured.warning("a_thing", value=value)
    stdlib.warning("a thing: %s", [value])
    structured.warning("afterwards")
    assert str(run.log).endswith("afterwards")


def test_capturing_twice_writes_each_line_once(run: ClaimedRun) -> None:
    capture_logs()
    stdlib.warning("once")
    assert str(run.log).count("once") == 1


def test_a_long_log_keeps_its_beginning_and_its_end_and_says_how_much_is_gone() -> None:
    log = RunLog()
    for number in range(100_000):
        log.write(f"line {number}")
    text = str(log)
    assert len(text) <= LIMIT
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("\nline 99999")
    (note,) = [line for line in text.splitlines() if line.startswith("[…")]
    gone = sum(len(f"line {number}") + 1 for number in range(100_000)) - len(text) + len(note)
    assert note == f"[… {gone} characters cut …]"


@given(st.lists(st.integers(0, 70_000), max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_log_never_grows_beyond_its_limit_whatever_is_written(sizes: list[int]) -> None:
    log, written = RunLog(), 0
    for size in sizes:
        log.write("x" * size)
        assert log.size > written
        written = log.size
        assert len(str(log)) <= LIMIT


def test_the_first_and_last_line_of_a_flood_of_long_lines_survive() -> None:
    log = RunLog()
    for letter in "abcdefghij":
        log.write(letter * LIMIT)
    assert str(log)[0] == "a"
    assert str(log)[-1] == "j"


def test_lines_without_an_end_are_cut_in_the_middle() -> None:
    text = cut_middle("begin" + "x" * 1_000_000 + "end")
    assert len(text) <= LIMIT
    assert text.startswith("begin")
    assert text.endswith("end")
    assert f"[… {1_000_008 - LIMIT} characters cut …]" in text


@given(st.text(st.characters(), max_size=50))
def test_what_is_storable_can_be_written_to_either_database(text: str) -> None:
    kept = make_storable(text)
    assert "\0" not in kept
    kept.encode()
    assert to_json(text).encode()


def test_backslashes_that_only_look_like_nul_survive() -> None:
    assert to_json("\\u0000 \\ud800") == '"\\\\u0000 \\\\ud800"'


def nested(levels: int) -> Any:
    value: Any = "the end"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(("levels", "is_kept"), [(1, True), (MAX_DEPTH, True), (MAX_DEPTH + 1, False), (930, False)])
def test_a_deep_result_is_cut_as_a_long_one_is(levels: int, is_kept: bool) -> None:
    stored = json.loads(to_json(nested(levels)))
    assert (stored == nested(levels)) is is_kept
    assert is_kept or stored["truncated"]


def test_a_result_that_cannot_be_written_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        to_json(nested(100_000))
