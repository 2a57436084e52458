"""Where structlog's lines go: a file descriptor, one system call a line."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TextIO

import structlog

ATOMIC = 4096
"""Bytes that a pipe takes whole, whoever else writes (PIPE_BUF on Linux)."""


class Lines:
    """A structlog logger of lines that are bytes.

    structlog's own takes a lock for each line, and Python's threads then queue up for it at the very moment in which
    the writer lets go of the interpreter, which costs a run 4 to 10 µs.  The kernel keeps short lines apart by itself,
    so only long ones take the lock.  What is left to chance: on a pipe a short line that is being written at the very
    moment in which a long one begins may land in the middle of it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._long = threading.Lock()

    def msg(self, line: bytes) -> None:
        """Write `line`; a log that nobody takes any more must not stop what it tells of."""
        try:
            if len(line) < ATOMIC and not self._long.locked():
                os.write(self._descriptor, line + b"\n")
            else:
                self._write_long(line + b"\n")
        except OSError:
            return

    def _write_long(self, rest: bytes) -> None:
        with self._long:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    debug = info = warning = error = critical = msg


def writes_lines(stream: TextIO) -> Callable[..., Any]:
    """A logger factory for `stream`; one that is no file is left to structlog."""
    try:
        lines = Lines(stream.fileno())
    except OSError:
        return structlog.BytesLoggerFactory(stream.buffer)
    return lambda *_: lines
