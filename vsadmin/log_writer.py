"""Writes log lines to a file descriptor and never waits for its reader: one system call for a single line, one for many lines in a burst."""

from __future__ import annotations

import logging
import os
import select
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any, TextIO

import orjson
import structlog

ATOMIC_BYTES = 4096
"""PIPE_BUF on Linux: a pipe takes a write of this size whole or not at all, and never mixes it with those of other writers."""

BATCH_SECONDS = 0.01
"""The longest that a buffered line waits for the others of a burst; a line that comes later than this after the previous one is written at once."""

MAX_LINES = 10_000
MAX_BYTES = 8 * 1024 * 1024
"""What is buffered at most while the reader does not read: lines beyond it are dropped and counted."""

EXIT_SECONDS = 1.0
"""The longest that the end of a process waits for the reader."""


class LogWriter:
    """A structlog logger of lines that are bytes.

    A reader that does not read (a stalled journal, a terminal after Ctrl-S) must not stop the program that logs.  So a
    logging thread writes by itself only what the kernel takes at once; everything else is buffered for a background
    thread, the only one that ever waits.  What the buffer cannot hold is dropped, and a line says how much it was.

    Each write releases the GIL, and with threads waiting for it every line costs two thread switches, a fifth of the cost
    of a run.  So in a burst only the first line is written at once, and the others together.  A warning or an error is not
    delayed, and flushes the buffered lines before it.

    The kernel keeps writes of up to ATOMIC_BYTES apart.  One case remains: on a pipe, a short line that another process
    writes may land in the middle of a line longer than that.
    """

    def __init__(self, descriptor: int) -> None:
        self._channel = _Channel(descriptor)
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        self._handler = _FlushAtExit(self)

    def _reset(self) -> None:
        self._buffer: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._has_lines = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._written_at = float("-inf")

    def msg(self, line: bytes) -> None:
        """Write `line` now or, in a burst, with the next batch."""
        is_burst = self._buffer or time.monotonic() - self._written_at <= BATCH_SECONDS
        self._append(line + b"\n")
        if is_burst or not self._write_ready():
            self._wake_thread()

    debug = info = msg

    def error(self, line: bytes) -> None:
        """Write the buffered lines and `line` now, as far as the reader takes them."""
        self._append(line + b"\n")
        if not self._write_ready():
            self._wake_thread()

    warning = critical = error

    def _append(self, line: bytes) -> None:
        if len(self._buffer) >= MAX_LINES or self._size + len(line) > MAX_BYTES:
            self._dropped += 1
            return
        self._size += len(line)
        self._buffer.append(line)

    def _write_ready(self) -> bool:
        """Write what the descriptor takes without waiting; returns False when lines are left for the background thread."""
        while self._buffer:
            if not self._lock.acquire(blocking=False):
                return False  # the thread that holds it may be waiting for the reader
            try:
                while self._buffer:
                    if rest := self._write(self._take()):
                        self._buffer.appendleft(rest)
                        self._size += len(rest)
                        return False
            finally:
                self._lock.release()
        return True

    def _take(self) -> bytes:
        """The oldest buffered lines, as many as fit into one atomic write; after lines that were dropped, a line that counts them."""
        self._written_at = time.monotonic()
        lines = [self._buffer.popleft()]
        size = len(lines[0])
        while self._buffer and (size := size + len(self._buffer[0])) <= ATOMIC_BYTES:
            lines.append(self._buffer.popleft())
        # Threads add to the size without a lock, so it is only nearly right: an empty buffer sets it right again.
        self._size = max(self._size - sum(map(len, lines)), 0) if self._buffer else 0
        if self._dropped and not self._buffer:
            dropped, self._dropped = self._dropped, 0
            event = {"event": "log_lines_dropped", "level": "warning", "dropped": dropped, "timestamp": datetime.now(UTC)}
            lines.append(orjson.dumps(event, option=orjson.OPT_UTC_Z) + b"\n")
        return b"".join(lines)

    def _wake_thread(self) -> None:
        if not self._has_lines.is_set():
            self._has_lines.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_batches, name="log-writer", daemon=True)
                self._thread.start()

    def _write_batches(self) -> None:
        while True:
            self._has_lines.wait()
            self._has_lines.clear()
            time.sleep(BATCH_SECONDS)
            while not self._write_ready():
                self._channel.wait()

    def flush(self) -> None:
        """Write all buffered lines, at the end of the process; gives up when the reader takes none for EXIT_SECONDS."""
        deadline = time.monotonic() + EXIT_SECONDS
        while not self._write_ready() and time.monotonic() < deadline:
            self._wake_thread()
            time.sleep(BATCH_SECONDS)

    def _write(self, data: bytes) -> bytes:
        return self._channel.write(data)


class _Channel:
    """A descriptor that is written to without waiting.

    O_NONBLOCK belongs to the open file, which other programs may share; so a pipe or a terminal is opened once more.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._socket: socket.socket | None = None
        with suppress(OSError):
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISSOCK(mode):
                self._socket = socket.socket(fileno=os.dup(descriptor))
            elif not stat.S_ISREG(mode):
                self._descriptor = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_NOCTTY)

    def write(self, data: bytes) -> bytes:
        """Write what is taken at once; returns the rest."""
        try:
            while data:
                sent = os.write(self._descriptor, data) if self._socket is None else self._socket.send(data, socket.MSG_DONTWAIT)
                data = data[sent:]
        except BlockingIOError:
            return data
        except OSError:  # a closed pipe or a full disk must not end the program that logs
            return b""
        return data

    def wait(self) -> None:
        """Wait until more can be written, or a second."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        poll.poll(1000)


class _FlushAtExit(logging.Handler):
    """Flushes the writer in `logging.shutdown`, which Python calls at the end of a process."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def flush(self) -> None:
        self._writer.flush()


class LogWriterHandler(logging.Handler):
    """Writes the records of the standard library's logging by the same writer, so that they do not wait for the reader either."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._write = _write_to(stream)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record).encode(errors="backslashreplace"), record.levelno >= logging.WARNING)
        except Exception:  # noqa: BLE001 -- as every handler does: a wrong log call must not break its caller
            self.handleError(record)


def _write_to(stream: TextIO) -> Callable[[bytes, bool], None]:
    try:
        writer = _writer_of(stream.fileno())
    except OSError:  # a stream without a descriptor, such as a test's
        return lambda line, _urgent: print(line.decode(), file=stream, flush=True)
    return lambda line, urgent: writer.error(line) if urgent else writer.msg(line)


@cache
def _writer_of(descriptor: int) -> LogWriter:
    return LogWriter(descriptor)


def log_writer_factory(stream: TextIO) -> Callable[..., Any]:
    """A logger factory that writes to `stream`; structlog's own when the stream has no file descriptor."""
    try:
        writer = _writer_of(stream.fileno())
    except OSError:
        return structlog.BytesLoggerFactory(stream.buffer)
    return lambda *_: writer
