"""A claimed run in this process, and what it needs of its definition."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Self

from jobs.engine.pools import THREADS
from jobs.engine.statements import FinishedRun
from jobs.models import JobDefinition, Status
from jobs.run_log import ReceivedLog, RunLog, cut_middle, to_json


@dataclass(frozen=True, slots=True)
class CallSpec:
    """What a run needs of its definition.  A scheduler keeps one for each job; the model instance takes five times the memory."""

    pk: str
    title: str
    function: str
    kwargs: dict[str, Any]
    timeout_seconds: int | None
    max_retries: int
    retry_backoff_seconds: int
    retry_abandoned: bool

    @classmethod
    def of(cls, definition: JobDefinition) -> Self:
        return cls(*[getattr(definition, name) for name in cls.__slots__])


@dataclass(eq=False)
class ClaimedRun:
    """A claimed run in this process; `current_run()` returns it inside a job function.

    Without slots: what most runs never set is then an attribute of the class, which saves a microsecond for each run.
    """

    id: int
    job_id: str
    scheduled_for: datetime
    function: str
    kwargs: dict[str, Any]
    attempt: int = 1
    cause: str = "schedule"
    pool: str = THREADS
    timeout_seconds: int | None = None
    max_retries: int = 0
    retry_backoff_seconds: int = 30
    retry_abandoned: bool = False
    claimed_at: datetime | None = None
    override: dict[str, Any] | None = None
    """The run's own arguments, when it was requested with some."""

    slot: int = field(default=0, init=False)
    """Where the worker process that has the run marks its start."""
    submitted_monotonic: float = field(default=0.0, init=False)
    """When it was given to a worker process."""
    started_at: datetime | None = field(default=None, init=False)
    started_monotonic: float | None = field(default=None, init=False)
    seen_started_monotonic: float | None = field(default=None, init=False)
    """When its scheduler first saw that the worker process had started it."""
    stop_reason: Status | None = field(default=None, init=False)
    """Why the run is being stopped: TIMED_OUT or CANCELLED."""
    stop_requested_monotonic: float = field(default=0.0, init=False)
    given_up: bool = field(default=False, init=False)
    """Whether it has its outcome although its function did not return."""
    log: RunLog | ReceivedLog | None = field(default=None, init=False)
    progress_json: str | None = field(default=None, init=False)
    saved: tuple[int, str | None] = field(default=(0, None), init=False)
    """The `unsaved_output` that the database has."""

    @classmethod
    def of(
        cls,
        definition: JobDefinition | CallSpec,
        run_id: int,
        slot: datetime,
        *,
        pool: str = THREADS,
        attempt: int = 1,
        cause: str = "schedule",
        kwargs: dict[str, Any] | None = None,
        claimed_at: datetime | None = None,
    ) -> Self:
        """The run `run_id` of `definition`; `kwargs` None means the definition's own."""
        return cls(
            run_id,
            definition.pk,
            slot,
            definition.function,
            definition.kwargs if kwargs is None else kwargs,
            attempt,
            cause,
            pool,
            definition.timeout_seconds,
            definition.max_retries,
            definition.retry_backoff_seconds,
            definition.retry_abandoned,
            claimed_at,
            kwargs,
        )

    @property
    def cancelled(self) -> bool:
        return self.stop_reason is not None

    def progress(self, done: float, total: float, text: str = "") -> None:
        self.progress_json = to_json({"done": done, "total": total, "text": cut_middle(str(text), 500)})

    def write_log(self, line: str) -> None:
        if not isinstance(self.log, RunLog):
            self.log = RunLog()
        self.log.write(line)

    def unsaved_output(self) -> tuple[int, str | None]:
        """Log size and progress so far; output is unsaved when this differs from `saved`."""
        return (self.log.size if self.log else 0, self.progress_json)

    def finish(self, status: Status, now: datetime, error: str = "", trace: str = "", result: str | None = None, reason: str = "") -> FinishedRun:
        """The outcome to record.  `now` stamps the end; the duration comes from the monotonic clock."""
        duration = time.monotonic() - self.started_monotonic if self.started_monotonic is not None else 0.0
        return FinishedRun(
            id=self.id,
            status=status.value,
            started_at=self.started_at or now,
            finished_at=now,
            duration_seconds=duration,
            reason=reason,
            result=result,
            error=error,
            traceback=trace,
            log=str(self.log) if self.log else "",
            progress=self.progress_json,
        )


class Outcome(NamedTuple):
    """A run that has ended, and what to record of it."""

    run: ClaimedRun
    finished: FinishedRun
