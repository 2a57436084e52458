"""Copies the log lines of a job function into its run, from structlog and from the standard library."""

from __future__ import annotations

import json
import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from structlog.typing import EventDict

from jobs.registry import find_current_run
from jobs.storable import MAX_DEPTH, is_too_deep, make_storable

LIMIT = 64 * 1024
"""Characters that are kept of a log, a traceback, an error or a result."""

BOUND = frozenset({"event", "level", "timestamp", "job", "run_id", "attempt"})
"""Keys that would be the same in every line of a run."""


def to_json(value: Any) -> str:
    """`value` as JSON text of bounded size and depth; raises TypeError or ValueError when it is none."""
    try:
        text = json.dumps(value, allow_nan=False)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if "\\u0000" in text or "\\ud" in text:
        text = json.dumps(_storable_value(json.loads(text)))
    if len(text) > LIMIT or (text.count("[") + text.count("{") > MAX_DEPTH and is_too_deep(value)):
        return json.dumps({"truncated": True, "characters": len(text), "beginning": text[: LIMIT // 8]})
    return text


def _storable_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {make_storable(name): _storable_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable_value(item) for item in value]
    return make_storable(value) if isinstance(value, str) else value


def cut_middle(text: str, limit: int = LIMIT) -> str:
    """`text` made storable; a long one is cut to its beginning and end, with a note of how much is missing between them."""
    text = make_storable(text)
    if len(text) <= limit:
        return text
    note = f"\n[… {len(text) - limit} characters cut …]\n"
    half = (limit - len(note)) // 2
    return text[:half] + note + text[-half:]


class RunLog:
    """The first and the last lines of one run, and the number of characters cut between them.

    Memory stays within LIMIT plus one line of at most half of it.
    """

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._head_size = self._tail_size = self._cut = 0

    def write(self, line: str) -> None:
        line = cut_middle(line, LIMIT // 4)
        if not self._tail and self._head_size + len(line) <= LIMIT // 2:
            self._head.append(line)
            self._head_size += len(line) + 1
            return
        self._tail.append(line)
        self._tail_size += len(line) + 1
        while self._tail_size > LIMIT // 2 - 64:
            gone = len(self._tail.popleft()) + 1
            self._tail_size -= gone
            self._cut += gone

    @property
    def size(self) -> int:
        """Characters written so far, cut ones included; it only grows."""
        return self._head_size + self._tail_size + self._cut

    def __str__(self) -> str:
        note = [f"[… {self._cut} characters cut …]"] if self._cut else []
        return "\n".join([*self._head, *note, *list(self._tail)])


@dataclass(frozen=True, slots=True)
class ReceivedLog:
    """The log of a run that goes on in another process, as that process last sent it."""

    text: str
    size: int

    def __str__(self) -> str:
        return self.text


def name_run(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that adds the current run to each event."""
    run = find_current_run()
    if run is not None:
        event.setdefault("job", run.job_id)
        event.setdefault("run_id", run.id)
        event.setdefault("attempt", run.attempt)
    return event


def copy_to_run(_logger: object, method: str, event: EventDict) -> EventDict:
    """A structlog processor that copies events which are logged inside a job function into the run's log.

    For a configuration where structlog writes by itself; where it goes through the standard library, the handler below is enough.
    """
    run = find_current_run()
    if run is not None:
        run.write_log(_event_line(datetime.now(UTC), method, event))
    return event


def _event_line(at: datetime, level: str, event: EventDict) -> str:
    values = [f"{name}={_shown(value)}" for name, value in event.items() if name not in BOUND and name[:1] != "_"]
    return " ".join([f"{at:%H:%M:%S.%f}"[:-3], level, str(event.get("event", "")), *values])


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 -- the log call of a job function must not fail for want of a repr
        return f"<{type(value).__name__}>"


class RunLogHandler(logging.Handler):
    """Copies records that are logged inside a job function into the run's log."""

    def emit(self, record: logging.LogRecord) -> None:
        run = find_current_run()
        if run is not None:
            try:
                run.write_log(self._line(record))
            except Exception:  # noqa: BLE001 -- as every handler does: a wrong log call must not break its caller
                self.handleError(record)

    @staticmethod
    def _line(record: logging.LogRecord) -> str:
        at, level = datetime.fromtimestamp(record.created, UTC), record.levelname.lower()
        if isinstance(record.msg, dict):  # structlog's event, on its way to the formatter
            return _event_line(at, level, record.msg)
        text = f"{at:%H:%M:%S.%f}"[:-3] + f" {level} {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        return text


def capture_logs() -> RunLogHandler:
    """Start copying; call it once a process that runs job functions."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, RunLogHandler):
            return handler
    handler = RunLogHandler()
    root.addHandler(handler)
    return handler
