"""A claimed run in this process, and what it needs of its definition."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

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

    @classmethod
    def of(cls, definition: JobDefinition) -> Self:
        return cls(*[getattr(definition, name) for name in cls.__slots__])


@dataclass(slots=True, eq=False)
class ClaimedRun:
    """A claimed run in this process; `current_run()` returns it inside a job function."""

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
    claimed_at: datetime | None = None
    override: dict[str, Any] | None = None
    """The run's own arguments, when it was requested with some."""

    started_at: datetime | None = None
    started_monotonic: float | None = None
    stop_reason: Status | None = None
    """Why the run is being stopped: TIMED_OUT or CANCELLED."""
    stop_requested_monotonic: float = 0.0
    log: RunLog | ReceivedLog | None = None
    progress_json: str | None = None
    saved: tuple[int, str | None] = field(default=(0, None))
    """The `unsaved_output` that the database has."""

    @classmethod
    def of(cls, definition: JobDefinition | CallSpec, run_id: int, slot: datetime, *, kwargs: dict[str, Any] | None = None, **more: Any) -> Self:
        """The run `run_id` of `definition`; `kwargs` None means the definition's own."""
        return cls(
            id=run_id,
            job_id=definition.pk,
            scheduled_for=slot,
            function=definition.function,
            kwargs=definition.kwargs if kwargs is None else kwargs,
            override=kwargs,
            timeout_seconds=definition.timeout_seconds,
            max_retries=definition.max_retries,
            retry_backoff_seconds=definition.retry_backoff_seconds,
            **more,
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
