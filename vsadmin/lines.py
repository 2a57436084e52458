"""Where structlog's lines go: a file descriptor, one system call a line, or one for many when many come."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

import structlog

ATOMIC = 4096
"""Bytes that a pipe takes whole, whoever else writes (PIPE_BUF on Linux)."""

TOGETHER_SECONDS = 0.01
"""A line that comes so soon after another waits for company, at most so long."""

MOST_KEPT = 10_000
"""When so many lines wait for a reader that does not read, whoever logs waits as well."""


class Lines:
    """A structlog logger of lines that are bytes.

    Each write lets go of the interpreter, and with threads that wait for it every line costs two switches between them,
    a fifth of what a run costs.  So of lines that come thick and fast only the first goes out at once; the others are
    written together by a thread, at most TOGETHER_SECONDS later.  A warning or an error never waits, and takes along what does.

    The kernel keeps writes of up to ATOMIC bytes apart by itself.  What is left to chance: on a pipe a short line that
    is being written at the very moment in which a longer one begins may land in the middle of it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        self._handler = _Last(self)

    def _reset(self) -> None:
        self._kept: deque[bytes] = deque()
        self._kept_some = threading.Event()
        self._writing = threading.Lock()
        self._writer: threading.Thread | None = None
        self._written_at = float("-inf")

    def msg(self, line: bytes) -> None:
        """Write `line`, or have it written soon."""
        if not self._kept and time.monotonic() - self._written_at > TOGETHER_SECONDS:
            self._written_at = time.monotonic()
            self._write(line + b"\n")
            return
        self._kept.append(line + b"\n")
        if len(self._kept) > MOST_KEPT:
            self.flush()
        elif not self._kept_some.is_set():
            self._kept_some.set()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_kept, name="log-lines", daemon=True)
                self._writer.start()

    debug = info = msg

    def error(self, line: bytes) -> None:
        """Write what waits and `line`, now."""
        self._kept.append(line + b"\n")
        self.flush()

    warning = critical = error

    def flush(self) -> None:
        """Write whatever waits."""
        with self._writing:
            while self._kept:
                self._written_at = time.monotonic()
                self._write(self._take())

    def _take(self) -> bytes:
        """The lines that wait, as many as go into one write."""
        lines = [self._kept.popleft()]
        size = len(lines[0])
        while self._kept and (size := size + len(self._kept[0])) <= ATOMIC:
            lines.append(self._kept.popleft())
        return b"".join(lines)

    def _write_kept(self) -> None:
        while True:
            self._kept_some.wait()
            self._kept_some.clear()
            time.sleep(TOGETHER_SECONDS)
            self.flush()

    def _write(self, rest: bytes) -> None:
        """A log that nobody takes any more must not stop what it tells of."""
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            return


class _Last(logging.Handler):
    """Has what waits written by `logging.shutdown`, which Python calls at the end of a process."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def flush(self) -> None:
        self._lines.flush()


def writes_lines(stream: TextIO) -> Callable[..., Any]:
    """A logger factory for `stream`; one that is no file is left to structlog."""
    try:
        lines = Lines(stream.fileno())
    except OSError:
        return structlog.BytesLoggerFactory(stream.buffer)
    return lambda *_: lines
