"""structlog's direct way to stderr: whole lines, never an obstacle for the program, and the same fields as by structlog's processors."""

from __future__ import annotations

import json
import logging
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
from vsadmin import logging as vsadmin_logging
from vsadmin.log_writer import ATOMIC_BYTES, LogWriter, LogWriterHandler

pytestmark = pytest.mark.once


@pytest.mark.parametrize("sizes", [[1, 80, ATOMIC_BYTES - 1], [ATOMIC_BYTES, ATOMIC_BYTES + 1, 5 * ATOMIC_BYTES + 7]], ids=["short", "long"])
def test_lines_of_many_threads_are_not_mixed(sizes: list[int]) -> None:
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor)

    def write(number: int) -> None:
        for _ in range(50):
            writer.info(str(number).encode() * sizes[number])

    threads = [threading.Thread(target=write, args=[number]) for number in range(len(sizes))]
    for thread in threads:
        thread.start()
    with os.fdopen(reader, "rb") as pipe:
        written = [pipe.readline().rstrip(b"\n") for _ in range(50 * len(sizes))]
    for thread in threads:
        thread.join(10)
    os.close(descriptor)
    assert sorted(written) == sorted(str(number).encode() * size for number, size in enumerate(sizes) for _ in range(50))


def test_a_pipe_without_a_reader_raises_nothing() -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    writer = LogWriter(descriptor)
    writer.info(b"first")
    writer.info(b"buffered")
    writer.error(b"long " * ATOMIC_BYTES)
    os.close(descriptor)


class RecordingWriter(LogWriter):
    """Writes to no descriptor; `written` has an entry for each write, and `ready` says whether the reader reads."""

    def __init__(self) -> None:
        super().__init__(99)
        self.written: list[bytes] = []
        self.ready = True

    def _write(self, data: bytes) -> bytes:
        if not self.ready:
            return data
        self.written.append(data)
        return b""


def test_a_single_line_is_written_at_once_and_a_burst_in_batches_in_its_order() -> None:
    writer = RecordingWriter()
    writer.info(b"first")
    assert writer.written == [b"first\n"]
    for number in range(1000):
        writer.info(b"line %d" % number)
    wait_until(lambda: writer.written[-1].endswith(b"line 999\n"))
    assert b"".join(writer.written).splitlines() == [b"first", *(b"line %d" % number for number in range(1000))]
    assert all(len(data) <= ATOMIC_BYTES for data in writer.written)
    assert len(writer.written) < 200


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_a_warning_or_an_error_flushes_the_buffered_lines_first(level: str) -> None:
    writer = RecordingWriter()
    for line in (b"first", b"second", b"third"):
        writer.info(line)
    getattr(writer, level)(b"last")
    assert b"".join(writer.written) == b"first\nsecond\nthird\nlast\n"


def test_buffered_lines_are_written_at_the_end_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.log_writer.BATCH_SECONDS", 60.0)
    writer = RecordingWriter()
    writer.info(b"first")
    writer.info(b"last")
    assert writer.written == [b"first\n"]
    writer._handler.flush()  # as logging.shutdown() does
    assert writer.written == [b"first\n", b"last\n"]


def test_a_pipe_that_nobody_reads_holds_up_no_logging_thread_and_loses_no_line_below_the_bound() -> None:
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor)
    lines = [b"%04d %s" % (number, b"x" * 500) for number in range(2000)]  # a pipe takes 64 KiB
    ended = threading.Event()

    def log() -> None:
        for number, line in enumerate(lines):
            (writer.error if number % 100 == 99 else writer.info)(line)
        ended.set()

    threading.Thread(target=log, daemon=True).start()
    assert ended.wait(10)
    with os.fdopen(reader, "rb") as pipe:
        assert [pipe.readline().rstrip(b"\n") for _ in lines] == lines
    os.close(descriptor)


def test_lines_beyond_the_bound_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.log_writer.BATCH_SECONDS", 60.0)
    monkeypatch.setattr("vsadmin.log_writer.MAX_LINES", 10)
    writer = RecordingWriter()
    writer.ready = False
    for number in range(17):
        writer.info(b"line %d" % number)
    assert writer.written == []
    writer.ready = True
    writer.error(b"dropped as well: the buffer is still full")
    *kept, note = b"".join(writer.written).splitlines()
    assert kept == [b"line %d" % number for number in range(10)]
    assert json.loads(note)["event"] == "log_lines_dropped"
    assert json.loads(note)["dropped"] == 8
    writer.error(b"next")
    assert writer.written[-1] == b"next\n"


def test_long_lines_count_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.log_writer.BATCH_SECONDS", 60.0)
    monkeypatch.setattr("vsadmin.log_writer.MAX_BYTES", 1000)
    writer = RecordingWriter()
    writer.ready = False
    for _ in range(5):
        writer.info(b"x" * 300)
    assert (len(writer._buffer), writer._dropped) == (3, 2)


def test_the_end_of_a_process_does_not_wait_for_a_reader_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.log_writer.EXIT_SECONDS", 0.05)
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor)
    for _ in range(200):
        writer.info(b"x" * 1000)
    writer.flush()
    assert writer._buffer
    os.close(reader)  # lets the background thread end


def test_records_of_the_standard_library_go_the_same_way() -> None:
    reader, descriptor = os.pipe()
    with os.fdopen(descriptor, "w") as stream:
        handler = LogWriterHandler(stream)
        handler.emit(logging.LogRecord("django", logging.WARNING, "file", 1, "half a pair \ud800", (), None))
        with os.fdopen(reader, "rb") as pipe:
            assert pipe.readline() == b"half a pair \\ud800\n"


@pytest.fixture
def bound() -> Iterator[None]:
    structlog.contextvars.bind_contextvars(request_id="r-1")
    yield
    structlog.contextvars.clear_contextvars()


def by_processors(method: str, event: dict[str, Any]) -> dict[str, Any]:
    made: Any = event
    steps: list[Any] = [*vsadmin_logging._shared_processors(), copy_to_run, vsadmin_logging._stack, *vsadmin_logging._renderers()]
    for processor in steps:
        made = processor(None, method, made)
    return json.loads(made)  # type: ignore[no-any-return]  # an object


def events() -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = [{"event": "plain"}, {"event": "fields", "job": "mine", "at": datetime(2030, 1, 1, tzinfo=UTC)}]
    try:
        int("too hot")
    except ValueError as error:
        plain.append({"event": "error", "exc_info": error})
    return plain


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside a run"])
@pytest.mark.parametrize("event", events(), ids=lambda event: event["event"])
def test_the_direct_way_gives_the_fields_that_the_processors_give(event: dict[str, Any], *, inside: bool) -> None:
    fast_run, slow_run = (ClaimedRun(7, "a", datetime(2030, 1, 1, tzinfo=UTC), "none", {}) if inside else None for _ in range(2))
    token = enter_run(fast_run)
    fast = json.loads(vsadmin_logging._json_line(None, "warning", dict(event)))
    leave_run(token)
    token = enter_run(slow_run)
    slow = by_processors("warning", dict(event))
    leave_run(token)
    assert datetime.fromisoformat(fast.pop("timestamp")).tzinfo == datetime.fromisoformat(slow.pop("timestamp")).tzinfo == UTC
    assert fast == slow
    assert ("run_id" in fast) is inside
    if fast_run is not None and slow_run is not None:
        assert str(fast_run.log).partition(" ")[2] == str(slow_run.log).partition(" ")[2]
