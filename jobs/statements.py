"""The statements of the hot path, one implementation for each database.

Everything here works on many rows at once: PostgreSQL takes its rows as arrays, SQLite as `executemany` in one
IMMEDIATE transaction.  Callers open the transaction.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Self

from django.db import connection, transaction

from jobs.models import Status

ACTIVE = (Status.QUEUED.value, Status.RUNNING.value)
NOTHING_SAID = ("", None, "", "", "", None)

ROWS_AT_ONCE = 256
"""Rows in one of SQLite's statements, which may have 32,766 values."""


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


class Statements(ABC):
    """The bulk statements; `for_connection()` gives the right ones."""

    exclude_jobs: str
    raw_time: str
    lock_rows: str
    in_ids: str
    turn: AbstractContextManager[object]
    """Held for a transaction that writes many rows."""

    # MIN and not EXISTS: PostgreSQL expects that most rows differ, and would look for the first one without the index.
    PEEK = """
        SELECT (SELECT MIN(id) FROM jobs_jobdefinition WHERE NOT (applied_revision = revision)),
               (SELECT MIN(next_run_time) FROM django_apscheduler_djangojob),
               (SELECT MIN(not_before) FROM jobs_jobrun WHERE status = 'queued' AND instance = ''),
               EXISTS (SELECT 1 FROM jobs_jobrun WHERE cancel_requested_at IS NOT NULL AND status IN ('queued', 'running') AND instance = %s)
    """

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction of this process' tick or recorder; never inside of another one."""
        with self.turn, transaction.atomic():
            yield

    @abstractmethod
    def wait_at_most(self, seconds: float) -> None:
        """From now on, let a statement of this thread's connection fail rather than wait longer for a lock."""

    def peek(self, instance: str) -> Peek:
        with connection.cursor() as cursor:
            cursor.execute(self.PEEK, [instance])
            unapplied, next_run_time, next_request, cancelled = cursor.fetchone()
        return Peek(unapplied is not None, self.read_time(next_run_time), self.read_time(next_request), bool(cancelled))

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


def array(values: Sequence[Any]) -> str:
    """PostgreSQL's text for an array; psycopg's own dumper takes ten times as long, and each run has seventeen values."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if value not in PLAIN else PLAIN[value]
    return str(value) if not isinstance(value, datetime) else f'"{value.isoformat()}"'


PLAIN = {"": '""'} | {status.value: status.value for status in Status}
"""Texts that need no escaping."""


def read_shown(text: str) -> datetime:
    """A time in UTC that a database has shown as text."""
    return datetime.fromisoformat(text + "+00:00")  # replace(tzinfo=UTC) takes eight times as long


class PostgreSQLStatements(Statements):
    exclude_jobs = "NOT (id = ANY(%s))"
    # A time as text, for `read_shown`: what psycopg and Django do to read one takes 3 µs, this 0.3.
    raw_time = """to_char(next_run_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')"""
    lock_rows = "FOR UPDATE SKIP LOCKED"
    turn = nullcontext()
    in_ids = "= ANY(%s)"

    INSERT = """
        INSERT INTO jobs_jobrun (job_id, scheduled_for, slots, status, reason, instance, cause, attempt, queued_at, not_before,
                                 started_at, finished_at, requested_by, error, traceback, log)
        SELECT u.job_id, u.slot, u.slots, u.status, u.reason, u.instance, 'schedule', 1, %s, CASE WHEN u.instance = '' THEN %s END,
               CASE WHEN u.status = 'running' THEN %s END, CASE WHEN u.status IN ('missed', 'skipped') THEN %s END, '', '', '', ''
        FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[], %s::text[], %s::text[], %s::text[]) AS u (job_id, slot, slots, status, reason, instance)
        ON CONFLICT DO NOTHING RETURNING id, job_id, to_char(scheduled_for AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
    """
    ADVANCE = """
        UPDATE django_apscheduler_djangojob j SET next_run_time = u.next_run_time
        FROM unnest(%s::text[], %s::timestamptz[]) AS u (id, next_run_time) WHERE j.id = u.id
    """
    FINISH = """
        UPDATE jobs_jobrun r SET status = u.status, started_at = u.started_at, finished_at = u.finished_at, duration_seconds = u.duration_seconds,
               reason = CASE WHEN u.reason = '' THEN r.reason ELSE u.reason END, result = u.result, error = u.error, traceback = u.traceback,
               log = u.log, progress = u.progress
        FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::float8[], %s::text[], %s::jsonb[], %s::text[], %s::text[], %s::text[],
                    %s::jsonb[]) AS u (id, status, started_at, finished_at, duration_seconds, reason, result, error, traceback, log, progress)
        WHERE r.id = u.id AND r.id = ANY(%s::bigint[]) AND r.instance = %s AND r.status || '' = 'running' RETURNING r.id
    """
    # PostgreSQL expects that hardly any run is running, and would go through all outcomes again for each that is.  Now it
    # hashes them; and with a status that it cannot foresee it finds the runs by id, not by an index full of what has ended.
    FORESEE = "SET LOCAL enable_nestloop = off"
    START = "UPDATE jobs_jobrun SET status = 'running', started_at = %s WHERE id = ANY(%s::bigint[]) AND instance = %s AND status = 'queued' RETURNING id"

    def wait_at_most(self, seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds * 1000:.0f}ms"])

    def insert_runs(self, runs: Sequence[NewRun], now: datetime) -> list[int | None]:
        columns = [array([getattr(run, name) for run in runs]) for name in ("job_id", "slot", "slots", "status", "reason", "instance")]
        with connection.cursor() as cursor:
            cursor.execute(self.INSERT, [now, now, now, now, *columns])
            ids = {(job_id, read_shown(slot)): run_id for run_id, job_id, slot in cursor.fetchall()}
        return [ids.get((run.job_id, run.slot)) for run in runs]

    def advance(self, moves: Sequence[tuple[str, datetime | None]]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(self.ADVANCE, [array([job_id for job_id, _ in moves]), array([moment for _, moment in moves])])

    def finish_runs(self, runs: Sequence[FinishedRun], instance: str) -> set[int]:
        columns = [array([getattr(run, name) for run in runs]) for name in FinishedRun.__slots__]
        with connection.cursor() as cursor:
            cursor.execute(self.FORESEE)
            cursor.execute(self.FINISH, [*columns, columns[0], instance])
            return {run_id for (run_id,) in cursor.fetchall()}

    def start_runs(self, run_ids: Sequence[int], instance: str, now: datetime) -> set[int]:
        with connection.cursor() as cursor:
            cursor.execute(self.START, [now, array(run_ids), instance])
            return {run_id for (run_id,) in cursor.fetchall()}

    def write_time(self, moment: datetime | None) -> Any:
        return moment

    def write_ids(self, ids: Sequence[str]) -> Any:
        return list(ids)

    def read_time(self, value: Any) -> datetime | None:
        return value  # type: ignore[no-any-return]  # psycopg returns aware datetimes


class SQLiteStatements(Statements):
    exclude_jobs = "id NOT IN (SELECT value FROM json_each(%s))"
    raw_time = "next_run_time || ''"  # no declared type, so that Django's converter does not see it; it takes ten times as long
    lock_rows = ""  # the transaction is IMMEDIATE: nobody else writes
    in_ids = "IN (SELECT value FROM json_each(%s))"
    # SQLite has one writer at a time, and lets the next one sleep for up to 100 ms: among our own threads it is told at once.
    turn = threading.RLock()

    INSERT = """
        INSERT INTO jobs_jobrun (id, job_id, scheduled_for, slots, status, reason, instance, cause, attempt, queued_at, not_before,
                                 started_at, finished_at, requested_by, error, traceback, log)
        SELECT column1, column2, column3, column4, column5, column6, column7, 'schedule', 1, %s, CASE WHEN column7 = '' THEN %s END,
               CASE WHEN column5 = 'running' THEN %s END, CASE WHEN column5 IN ('missed', 'skipped') THEN %s END, '', '', '', ''
        FROM (VALUES {rows}) AS v WHERE true ON CONFLICT DO NOTHING
    """
    ADVANCE = "UPDATE django_apscheduler_djangojob AS j SET next_run_time = v.column2 FROM (VALUES {rows}) AS v WHERE j.id = v.column1"
    FINISH_QUIET = """
        UPDATE jobs_jobrun AS r SET status = v.column2, started_at = v.column3, finished_at = v.column4, duration_seconds = v.column5
        FROM (VALUES {rows}) AS v WHERE r.id = v.column1 AND r.instance = %s AND r.status = 'running'
    """
    FINISH = """
        UPDATE jobs_jobrun AS r SET status = v.column2, started_at = v.column3, finished_at = v.column4, duration_seconds = v.column5,
               reason = CASE WHEN v.column6 = '' THEN r.reason ELSE v.column6 END, result = v.column7, error = v.column8, traceback = v.column9,
               log = v.column10, progress = v.column11
        FROM (VALUES {rows}) AS v WHERE r.id = v.column1 AND r.instance = %s AND r.status = 'running'
    """
    START = "UPDATE jobs_jobrun SET status = 'running', started_at = %s WHERE id = %s AND instance = %s AND status = 'queued'"

    def wait_at_most(self, seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")

    def _write_rows(self, statement: str, rows: Sequence[tuple[Any, ...]], before: Sequence[Any] = (), after: Sequence[Any] = ()) -> int:
        """Execute `statement` for all `rows`, many at once; returns how many it has written.

        Once for each row would take longer, and let go of the interpreter as often; it has to be waited for each time.
        Their numbers are powers of two: that makes few texts, and SQLite prepares each of them once.
        """
        written = first = 0
        with connection.cursor() as cursor:
            while first < len(rows):
                size = min(ROWS_AT_ONCE, 1 << (len(rows) - first).bit_length() - 1)
                row = "(" + ",".join(["%s"] * len(rows[0])) + ")"
                values = chain.from_iterable(rows[first : first + size])
                cursor.execute(statement.format(rows=",".join([row] * size)), [*before, *values, *after])
                written += cursor.rowcount
                first += size
        return written

    def insert_runs(self, runs: Sequence[NewRun], now: datetime) -> list[int | None]:
        moment = self.write_time(now)
        with connection.cursor() as cursor:
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs_jobrun'")
            first = (cursor.fetchone() or (0,))[0] + 1
            rows = [(first + n, run.job_id, self.write_time(run.slot), run.slots, run.status, run.reason, run.instance) for n, run in enumerate(runs)]
            if self._write_rows(self.INSERT, rows, before=[moment] * 4) == len(runs):
                return list(range(first, first + len(runs)))
            cursor.execute("SELECT id FROM jobs_jobrun WHERE id >= %s", [first])
            inserted = {run_id for (run_id,) in cursor.fetchall()}
        return [first + n if first + n in inserted else None for n in range(len(runs))]

    def advance(self, moves: Sequence[tuple[str, datetime | None]]) -> None:
        self._write_rows(self.ADVANCE, [(job_id, self.write_time(moment)) for job_id, moment in moves])

    def finish_runs(self, runs: Sequence[FinishedRun], instance: str) -> set[int]:
        quiet = [self._finish_row(run) for run in runs if run.is_quiet]
        telling = [self._finish_row(run) + run.said for run in runs if not run.is_quiet]
        written = self._write_rows(self.FINISH_QUIET, quiet, after=[instance]) + self._write_rows(self.FINISH, telling, after=[instance])
        if written == len(runs):
            return {run.id for run in runs}
        with connection.cursor() as cursor:
            stored = self._with_status(cursor, [run.id for run in runs], instance)
        return {run.id for run in runs if stored.get(run.id) == run.status}

    def _finish_row(self, run: FinishedRun) -> tuple[Any, ...]:
        return run.id, run.status, self.write_time(run.started_at), self.write_time(run.finished_at), run.duration_seconds

    def start_runs(self, run_ids: Sequence[int], instance: str, now: datetime) -> set[int]:
        with connection.cursor() as cursor:
            moment = self.write_time(now)
            cursor.executemany(self.START, [(moment, run_id, instance) for run_id in run_ids])
            if cursor.rowcount == len(run_ids):
                return set(run_ids)
            stored = self._with_status(cursor, run_ids, instance)
        return {run_id for run_id in run_ids if stored.get(run_id) == Status.RUNNING}

    @staticmethod
    def _with_status(cursor: Any, run_ids: Iterable[int], instance: str) -> dict[int, str]:
        ids = "[" + ",".join(map(str, run_ids)) + "]"
        cursor.execute("SELECT id, status FROM jobs_jobrun WHERE id IN (SELECT value FROM json_each(%s)) AND instance = %s", [ids, instance])
        return dict(cursor.fetchall())

    def write_time(self, moment: datetime | None) -> Any:
        if moment is None:
            return None
        return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat(" ")[:-6]

    def write_ids(self, ids: Sequence[str]) -> Any:
        return "[" + ",".join(f'"{job_id}"' for job_id in ids) + "]"  # ids are slugs

    def read_time(self, value: Any) -> datetime | None:
        return None if value is None else read_shown(value)


def for_connection() -> Statements:
    """The statements for the database of this process."""
    return PostgreSQLStatements() if connection.vendor == "postgresql" else SQLiteStatements()
