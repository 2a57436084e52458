"""What the statements of every database have in common: what goes in and out, and the ABC."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from django.db import connection, transaction

from jobs.models.instance import ALIVE_FOR

NOTHING_SAID = ("", None, "", "", "", None)

DIGEST = slice(11, 27)
"""Where the state of a scheduled job says in few bytes whether it is another."""

Entry = tuple[str, datetime, bytes]
"""A due scheduled job: its id, next_run_time and job_state."""


@dataclass(slots=True)
class NewRun:
    """A row to insert: what became of a slot.  `instance` is empty for a run that any scheduler may claim later."""

    job_id: str
    slot: datetime
    slots: int
    status: str
    reason: str
    instance: str


@dataclass(slots=True)
class Guess:
    """A slot that is due as far as this process knows, and its answer, a run that starts now, if the rows say the same.

    `moment` and `state` are what the scheduled job has to say for that, and none of its runs may be going on.
    """

    job_id: str
    moment: datetime
    state: bytes
    slot: datetime
    slots: int
    reason: str
    following: datetime | None


@dataclass(slots=True)
class FinishedRun:
    """What to write of a run that has ended."""

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
    def said(self) -> tuple[str, str | None, str, str, str, str | None]:
        return self.reason, self.result, self.error, self.traceback, self.log, self.progress

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to keep of it but its status and times."""
        return self.said == NOTHING_SAID

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"started_at": self.started_at.isoformat(), "finished_at": self.finished_at.isoformat()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        times = {name: datetime.fromisoformat(values[name]) for name in ("started_at", "finished_at")}
        return cls(**values | times)


@dataclass(frozen=True, slots=True)
class Peek:
    """What there is to do, from one query."""

    unapplied: bool
    next_run_time: datetime | None
    next_request: datetime | None
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Duties:
    """What an instance has to see to at its heartbeat, from one query."""

    environment: str | None
    """The one that the database belongs to."""
    silent: bool
    """Whether there are instances that have fallen silent, or runs of some that left no row."""
    active: bool
    """Whether the database knows of runs of this instance that have not ended."""


class Statements(ABC):
    """The bulk statements; `for_connection()` gives the right ones."""

    exclude_jobs: str
    raw_time: str
    lock_rows: str
    in_ids: str
    keeps_connection: bool
    """Whether the tick's connection is worth keeping for good: one that is opened again has forgotten what it read."""

    # MIN and not EXISTS: PostgreSQL expects that most rows differ, and would look for the first one without the index.
    PEEK = """
        SELECT (SELECT MIN(id) FROM jobs_jobdefinition WHERE NOT (applied_revision = revision)),
               (SELECT MIN(next_run_time) FROM django_apscheduler_djangojob),
               (SELECT MIN(not_before) FROM jobs_jobrun WHERE status = 'queued' AND instance = ''),
               EXISTS (SELECT 1 FROM jobs_jobrun WHERE cancel_requested_at IS NOT NULL AND status IN ('queued', 'running') AND instance = %s)
    """

    DUTIES = """
        SELECT (SELECT name FROM jobs_databaseenvironment WHERE id = 1),
               EXISTS (SELECT 1 FROM jobs_schedulerinstance WHERE NOT (heartbeat_at BETWEEN %s AND %s)),
               EXISTS (SELECT 1 FROM jobs_jobrun WHERE status IN ('queued', 'running') AND instance <> ''
                       AND instance NOT IN (SELECT id FROM jobs_schedulerinstance)),
               EXISTS (SELECT 1 FROM jobs_jobrun WHERE status IN ('queued', 'running') AND instance = %s)
    """

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction of this process' tick or recorder; never inside of another one."""
        with self.alone(), transaction.atomic():
            yield

    @abstractmethod
    def lent(self) -> AbstractContextManager[Callable[[], None] | None]:
        """What another thread may call, while the block lasts, to use the connection of this one; None where each is better off with its own."""

    @abstractmethod
    def alone(self, seconds: float = -1) -> AbstractContextManager[object]:
        """Keep others who use a lent connection out of it for as long as the block lasts.

        Raises OperationalError when they have not let go of it after `seconds`, unless these are negative.
        """

    @abstractmethod
    def tune(self) -> None:
        """Make this thread's connection one for many writes; to repeat it costs nothing, and it may be a new one."""

    def drop_connection(self, error: Exception) -> None:
        """After `error`: close this thread's connection, so that the next statement opens another, which may do better."""
        with self.alone():
            connection.close()

    @abstractmethod
    def wait_at_most(self, seconds: float) -> None:
        """From now on, let a statement of this thread's connection fail rather than wait longer for a lock."""

    def peek(self, instance: str) -> Peek:
        with connection.cursor() as cursor:
            cursor.execute(self.PEEK, [instance])
            unapplied, next_run_time, next_request, cancelled = cursor.fetchone()
        return Peek(unapplied is not None, self.read_time(next_run_time), self.read_time(next_request), bool(cancelled))

    def duties(self, instance: str, database_now: datetime) -> Duties:
        """What an instance that has just written its heartbeat has to see to."""
        with connection.cursor() as cursor:
            cursor.execute(self.DUTIES, [self.write_time(database_now - ALIVE_FOR), self.write_time(database_now + ALIVE_FOR), instance])
            environment, silent, ownerless, active = cursor.fetchone()
        return Duties(environment, bool(silent or ownerless), bool(active))

    def lock_due(self, now: datetime, longest: int, latest: int, leave: Sequence[str]) -> tuple[list[Entry], list[Entry]]:
        """Lock and return due scheduled jobs: `longest` that have been due for the longest time and, if there are more, `latest` that have come due last."""
        first = self._lock_due(now, "ASC", longest, leave)
        if len(first) < longest or not latest:
            return first, []
        known = {job_id for job_id, _moment, _state in first}
        return first, [entry for entry in self._lock_due(now, "DESC", latest, leave) if entry[0] not in known]

    def _lock_due(self, now: datetime, order: str, limit: int, leave: Sequence[str]) -> list[Entry]:
        where = f"AND {self.exclude_jobs}" if leave else ""
        arguments = [self.write_time(now), *([self.write_ids(leave)] if leave else []), limit]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, {self.raw_time}, job_state FROM django_apscheduler_djangojob "  # noqa: S608 -- only constants of this class are filled in
                f"WHERE next_run_time <= %s {where} ORDER BY next_run_time {order} LIMIT %s {self.lock_rows}",
                arguments,
            )
            return [(job_id, read_shown(moment), bytes(state)) for job_id, moment, state in cursor.fetchall()]

    def occupied(self, job_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """By job: how many of its runs are going on anywhere, and the id of the oldest of them."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT job_id, COUNT(*), MIN(id) FROM jobs_jobrun WHERE status IN ('queued', 'running') AND instance <> '' "  # noqa: S608 -- see above
                f"AND job_id {self.in_ids} GROUP BY job_id",
                [self.write_ids(job_ids)],
            )
            return {job_id: (count, oldest) for job_id, count, oldest in cursor.fetchall()}

    @abstractmethod
    def claim(self, guesses: Sequence[Guess], now: datetime, instance: str) -> dict[str, int]:
        """Claim what was guessed right, in a transaction of its own; returns the ids of its runs by job."""

    @abstractmethod
    def insert_runs(self, runs: Sequence[NewRun], now: datetime) -> list[int | None]:
        """Insert the rows; returns their ids, None for a slot that has its answer already."""

    @abstractmethod
    def advance(self, moves: Sequence[tuple[str, datetime | None]]) -> None:
        """Set `next_run_time` of locked scheduled jobs."""

    @abstractmethod
    def finish_runs(self, runs: Sequence[FinishedRun], instance: str) -> set[int]:
        """Record outcomes of this instance's running runs; returns the ids that were still its own."""

    @abstractmethod
    def start_runs(self, run_ids: Sequence[int], instance: str, now: datetime) -> set[int]:
        """Move this instance's queued runs to running; returns the ids that were still its own."""

    @abstractmethod
    def write_time(self, moment: datetime | None) -> Any: ...

    @abstractmethod
    def write_ids(self, ids: Sequence[str]) -> Any: ...

    @abstractmethod
    def read_time(self, value: Any) -> datetime | None: ...


def read_shown(text: str) -> datetime:
    """A time in UTC that a database has shown as text."""
    return datetime.fromisoformat(text + "+00:00")  # replace(tzinfo=UTC) takes eight times as long
