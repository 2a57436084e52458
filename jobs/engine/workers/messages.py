"""What a worker sends, checked before it is believed: job code shares its process."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import orjson
import structlog

from jobs.engine.run import ClaimedRun, Outcome
from jobs.engine.workers.handle import WorkerHandle
from jobs.engine.workers.limits import functions_of
from jobs.engine.workers.wire import BadMessage, check_time, decode_outcome
from jobs.run_log import LIMIT, ReceivedLog
from jobs.storable import make_storable

log = structlog.get_logger()

HELD_NOTE = "warning: a job function in this worker process keeps the interpreter to itself; the stacks of its threads:"


def receive(handle: WorkerHandle, message: dict[str, Any]) -> list[Outcome]:
    """Take note of what a message says, and return the outcomes in it; raises BadMessage."""
    try:
        ended = [decode_outcome(values) for values in message.get("ended", ())]
        if "seen" in message:
            handle.confirm(int(message["seen"]))
        for run_id, at, monotonic in message.get("started", ()):
            _note_start(handle, run_id, at, monotonic)
        for run_id, text, size, progress in message.get("output", ()):
            _note_output(handle, run_id, text, size, progress)
        handle.stuck = max(int(message.get("stuck", handle.stuck)), 0)
        handle.memory = max(int(message.get("memory", handle.memory)), 0)
    except BadMessage:
        raise
    except Exception as error:  # noqa: BLE001 -- job code may have written the message, so anything may be wrong with it
        raise BadMessage(f"a message that cannot be read: {type(error).__name__}: {error}") from None
    # Only now, when all of the message is known to be good.  A run that is not there was given up before.
    outcomes = [Outcome(run, finished) for finished in ended if (run := handle.pop(finished.id)) is not None]
    handle.finished += len(outcomes)
    return outcomes


def _find(handle: WorkerHandle, run_id: Any) -> ClaimedRun | None:
    return next((runs[run_id] for runs in handle.in_flight.values() if run_id in runs), None)


def _note_start(handle: WorkerHandle, run_id: Any, at: Any, monotonic: Any) -> None:
    if (run := _find(handle, run_id)) is not None and run.started_at is None:
        started_at = datetime.fromisoformat(at)
        check_time(started_at)
        # No earlier than it was sent, and not in the future, whatever the message says: time limits count from it.
        run.started_at, run.started_monotonic = started_at, min(max(float(monotonic), run.submitted_monotonic), time.monotonic())


def _note_output(handle: WorkerHandle, run_id: Any, text: Any, size: Any, progress: Any) -> None:
    if (run := _find(handle, run_id)) is None:
        return
    if progress is not None:
        orjson.loads(progress)
    run.log, run.progress_json = ReceivedLog(make_storable(text[: 2 * LIMIT]), int(size)), progress


def warn_of_left_open(handle: WorkerHandle, message: dict[str, Any]) -> None:
    """Log, once for each worker, what its imports have started before it was forked."""
    names = message.get("left_open")
    if handle.ready or not isinstance(names, list):
        return
    for name in names[:10]:
        log.warning("scheduler_worker_unclean", problem=f"importing the apps' modules has started {name}, which a worker does not have; start it in the job function")


def note_stacks(handle: WorkerHandle, data: bytes) -> None:
    """Log the stacks that faulthandler has written, and add them to the logs of the runs in progress."""
    handle.held_stacks = (handle.held_stacks + data.decode(errors="replace"))[-LIMIT // 8 :]
    log.error("scheduler_worker_held", pid=handle.process.pid, functions=functions_of(handle.runs), stacks=handle.held_stacks)
    for run in handle.runs:
        if run.started_at is not None:
            text = f"{run.log or ''}\n{HELD_NOTE}\n{handle.held_stacks}"
            run.log = ReceivedLog(text[-LIMIT:], (run.log.size if run.log else 0) + len(handle.held_stacks))
