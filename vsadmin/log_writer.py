"""Writes structlog's lines to a file descriptor: one system call for a single line, one for many lines in a burst."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

import structlog

ATOMIC_BYTES = 4096
"""PIPE_BUF on Linux: a pipe never mixes a write of this size with those of other writers."""

BATCH_SECONDS = 0.01
"""The longest that a buffered line waits; a line that comes later than this after the previous one is written at once."""

MAX_BUFFERED = 10_000
"""With more lines in the buffer, because nothing reads the pipe, the logging thread itself writes, and so waits."""


class LogWriter:
    """A structlog logger of lines that are bytes.

    Each write releases the GIL, and with threads waiting for it every line costs two thread switches, a fifth of the cost
    of a run.  So in a burst only the first line is written at once; a background thread writes the others together, at most
    BATCH_SECONDS later.  A warning or an error is never delayed, and flushes the buffered lines before it.

    The kernel keeps writes of up to ATOMIC_BYTES apart.  One case remains: on a pipe, a short line that another process
    writes may land in the middle of a line longer than that.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        self._handler = _FlushAtExit(self)

    def _reset(self) -> None:
        self._buffer: deque[bytes] = deque()
        self._has_lines = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._written_at = float("-inf")

    def msg(self, line: bytes) -> None:
        """Write `line` now or, in a burst, with the next batch."""
        if not self._buffer and time.monotonic() - self._written_at > BATCH_SECONDS:
            self._written_at = time.monotonic()
            self._write(line + b"\n")
            return
        self._buffer.append(line + b"\n")
        if len(self._buffer) > MAX_BUFFERED:
            self.flush()
        elif not self._has_lines.is_set():
            self._has_lines.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_batches, name="log-writer", daemon=True)
                self._thread.start()

    debug = info = msg

    def error(self, line: bytes) -> None:
        """Write the buffered lines and `line` now."""
        self._buffer.append(line + b"\n")
        self.flush()

    warning = critical = error

    def flush(self) -> None:
        """Write all buffered lines."""
        with self._lock:
            while self._buffer:
                self._written_at = time.monotonic()
                self._write(self._take())

    def _take(self) -> bytes:
        """The oldest buffered lines, as many as fit into one atomic write."""
        lines = [self._buffer.popleft()]
        size = len(lines[0])
        while self._buffer and (size := size + len(self._buffer[0])) <= ATOMIC_BYTES:
            lines.append(self._buffer.popleft())
        return b"".join(lines)

    def _write_batches(self) -> None:
        while True:
            self._has_lines.wait()
            self._has_lines.clear()
            time.sleep(BATCH_SECONDS)
            self.flush()

    def _write(self, rest: bytes) -> None:
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:  # a closed pipe or a full disk must not end the program that logs
            return


class _FlushAtExit(logging.Handler):
    """Flushes the writer in `logging.shutdown`, which Python calls at the end of a process."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def flush(self) -> None:
        self._writer.flush()


def log_writer_factory(stream: TextIO) -> Callable[..., Any]:
    """A logger factory that writes to `stream`; structlog's own when the stream has no file descriptor."""
    try:
        writer = LogWriter(stream.fileno())
    except OSError:
        return structlog.BytesLoggerFactory(stream.buffer)
    return lambda *_: writer
