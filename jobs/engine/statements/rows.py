"""What goes into the statements and what comes out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol, Self

from django.db import DataError, IntegrityError, ProgrammingError

UNSTORABLE = (DataError, IntegrityError, ProgrammingError, ValueError, OverflowError)
"""Errors of a row that the database will never take, as opposed to an outage."""

NO_OUTPUT = ("", None, "", "", "", None)

DIGEST = slice(11, 27)
"""The part of a store entry's state that differs whenever the rest does."""

DueEntry = tuple[str, datetime, bytes]
"""A due entry of the store: id, next_run_time and job_state."""


@dataclass(slots=True)
class NewRun:
    """The row that answers a slot.  `instance` is empty for a run that any scheduler may claim later."""

    job_id: str
    slot: datetime
    slots: int
    status: str
    reason: str
    instance: str


@dataclass(slots=True)
class ExpectedClaim:
    """A slot that is due as far as this process knows, answered by one run that starts now.

    The statement claims it only if the entry still has `fire_time` and `state` and the job has no run in progress.
    """

    job_id: str
    fire_time: datetime
    state: bytes
    slot: datetime
    slots: int
    reason: str
    following: datetime | None


class NamedRun(Protocol):
    """What tells one run from another that has got its id, because the database went back to a backup."""

    job_id: str
    scheduled_for: datetime


@dataclass(slots=True)
class FinishedRun:
    """The outcome of a run, to be recorded."""

    id: int
    status: str
    started_at: datetime
    finished_at: datetime
    duration_seconds: float
    reason: str = ""
    result: str | None = None
    error: str = ""
    traceback: str = ""
    log: str = ""
    progress: str | None = None

    @property
    def output(self) -> tuple[str, str | None, str, str, str, str | None]:
        return self.reason, self.result, self.error, self.traceback, self.log, self.progress

    @property
    def is_quiet(self) -> bool:
        """Whether only its status and times have to be recorded."""
        return self.output == NO_OUTPUT

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"started_at": self.started_at.isoformat(), "finished_at": self.finished_at.isoformat()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        times = {name: datetime.fromisoformat(values[name]) for name in ("started_at", "finished_at")}
        return cls(**values | times)


@dataclass(frozen=True, slots=True)
class PendingWork:
    """What a tick has to do, from one query."""

    unapplied: bool
    next_run_time: datetime | None
    next_request: datetime | None
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What a heartbeat has to do, from one query."""

    environment: str | None
    """The environment that the database belongs to."""
    others: dict[str, str]
    """The last heartbeat of each other instance, as the database writes it."""
    ownerless: bool
    """Whether unfinished runs belong to an instance without a row."""
    failing: bool
    """Whether an instance lives and none of its ticks completes."""
    active: bool
    """Whether the database has unfinished runs of this instance."""


def state_bytes(value: Any) -> bytes:
    """The `job_state` of an entry, whatever somebody has stored there; what is no state cannot be read as a plan."""
    return bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode(errors="replace")


def read_time_text(text: str) -> datetime:
    """The time of a text in UTC without its offset."""
    return datetime.fromisoformat(text + "+00:00")  # replace(tzinfo=UTC) takes eight times as long
