"""What travels between a scheduler and its workers: JSON objects in frames of a length and a body.

A run is a list, because a scheduler sends thousands a second: names in each of them would double the bytes.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.models import Status

HEADER = struct.Struct("!I")
LARGEST_FRAME = 64 * 1024 * 1024
"""Bytes.  Log, result, error and traceback of a run are each bounded to 64 KiB before they are sent."""

OUTPUT_SECONDS = 0.2
"""Seconds between two looks at the output of runs in progress, in the process that executes them."""

HELD_SECONDS = 10.0
"""A worker whose interpreter is held for this long writes the stacks of its threads; its scheduler drains and replaces it."""

OUTCOMES = frozenset({Status.SUCCEEDED.value, Status.FAILED.value, Status.TIMED_OUT.value, Status.CANCELLED.value})
"""The statuses that a worker may give a run."""


class BadMessage(ValueError):
    """The other side sent something that is no message."""


OUTCOMES_IN_A_MESSAGE = 64
"""With the largest texts that a run may have, far below LARGEST_FRAME."""


def frame(message: dict[str, Any]) -> bytes:
    """Raises BadMessage when the message is too large, TypeError when orjson refuses what is in it."""
    body = orjson.dumps(message)
    if len(body) > LARGEST_FRAME:
        raise BadMessage(f"a message of {len(body)} bytes, more than {LARGEST_FRAME}")
    return HEADER.pack(len(body)) + body


class Frames:
    """The messages in a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are complete now, one by one; raises BadMessage at the first that is none."""
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= HEADER.size:
                (size,) = HEADER.unpack_from(self._buffer, start)
                if size > LARGEST_FRAME:
                    raise BadMessage(f"a message of {size} bytes, more than {LARGEST_FRAME}")
                end = start + HEADER.size + size
                if len(self._buffer) < end:
                    break
                message = _object(self._buffer[start + HEADER.size : end])
                start = end
                yield message
        finally:
            del self._buffer[:start]


def _object(body: bytearray) -> dict[str, Any]:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadMessage(f"a message that is no JSON: {error}") from None
    if not isinstance(message, dict):
        raise BadMessage(f"a message that is a {type(message).__name__}, expected an object")
    return message


# -- runs -------------------------------------------------------------------------------------------


def encode_run(run: ClaimedRun) -> list[Any]:
    return [run.id, run.job_id, run.scheduled_for, run.function, run.kwargs, run.attempt, run.cause, run.pool, run.timeout_seconds, run.slot]


def encode_odd_run(run: ClaimedRun) -> list[Any]:
    """A run whose arguments may be what orjson refuses and the database took: an integer of 65 bits, half a surrogate pair, deep nesting.

    They travel as the text that Python's own json writes; what even that refuses, or is too large, fails the run in the worker.
    """
    values = encode_run(run)
    try:
        orjson.dumps(values)
    except TypeError:
        values[4] = None
        try:
            values.append(json.dumps(run.kwargs))
        except (TypeError, ValueError, RecursionError) as error:
            values.append(json.dumps(f"arguments that cannot be sent to a worker: {type(error).__name__}"))
    if len(orjson.dumps(values)) > LARGEST_FRAME // 2:
        values = [*values[:4], None, *values[5:10], json.dumps("arguments that are too large for a worker")]
    return values


def frame_of_run(run: ClaimedRun) -> bytes:
    """The message to a process for one run."""
    try:
        return frame({"run": encode_run(run)})
    except (TypeError, BadMessage):
        return frame({"run": encode_odd_run(run)})


def decode_run(values: list[Any]) -> ClaimedRun:
    run_id, job_id, scheduled_for, function, kwargs, attempt, cause, pool, timeout_seconds, slot, *kwargs_text = values
    if kwargs_text:
        kwargs = json.loads(kwargs_text[0])
    run = ClaimedRun(run_id, job_id, datetime.fromisoformat(scheduled_for), function, kwargs, attempt, cause, pool, timeout_seconds)
    run.slot = slot
    return run


def encode_output(run: ClaimedRun) -> list[Any]:
    size, progress = run.saved = run.unsaved_output()
    return [run.id, str(run.log or ""), size, progress]


# -- outcomes ---------------------------------------------------------------------------------------


def encode_outcome(finished: FinishedRun) -> list[Any]:
    head = [finished.id, finished.status, finished.started_at, finished.finished_at, finished.duration_seconds]
    return head if finished.is_quiet else [*head, *finished.output]


def decode_outcome(values: Any) -> FinishedRun:
    """An outcome that a worker has sent.  Job code shares the worker's process, so nothing is believed unchecked; raises BadMessage."""
    try:
        run_id, status, started_at, finished_at, duration, *output = values
        finished = FinishedRun(run_id, status, datetime.fromisoformat(started_at), datetime.fromisoformat(finished_at), duration, *output)
    except (TypeError, ValueError) as error:
        raise BadMessage(f"an outcome that cannot be read: {error}") from None
    if type(run_id) is not int or status not in OUTCOMES or type(duration) is not float or not 0 <= duration < math.inf:
        raise BadMessage(f"an outcome with id {run_id!r}, status {status!r} and duration {duration!r}")
    check_time(finished.started_at)
    check_time(finished.finished_at)
    if not finished.is_quiet and not _are_texts(finished):
        raise BadMessage("an outcome whose texts are no texts")
    return finished


def check_time(at: datetime) -> None:
    """Refuse a time that a database could not store or that could not be moved to another zone; raises BadMessage."""
    if at.tzinfo is None or not 1970 <= at.year <= 9998:
        raise BadMessage(f"the time {at.isoformat()}, expected one from 1970 to 9998 with its zone")


def _are_texts(finished: FinishedRun) -> bool:
    needed = (finished.reason, finished.error, finished.traceback, finished.log)
    optional = (finished.result, finished.progress)
    return all(isinstance(text, str) for text in needed) and all(text is None or isinstance(text, str) for text in optional)
