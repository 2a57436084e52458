"""PostgreSQL takes its rows as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from django.db import connection

from jobs.engine.statements.base import DIGEST, FinishedRun, Guess, NewRun, Peek, Statements, read_shown
from jobs.models import Status


def array(values: Sequence[Any]) -> str:
    """PostgreSQL's text for an array; psycopg's own dumper takes ten times as long, and each run has seventeen values."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if value not in PLAIN else PLAIN[value]
    return str(value) if not isinstance(value, datetime) else f'"{value.isoformat()}"'


def _read_timestamp(shown: bytes | None) -> datetime | None:
    """A timestamptz as PostgreSQL shows it, with its offset."""
    return None if shown is None else datetime.fromisoformat(shown.decode())


QUIET_COLUMNS = ("id", "status", "started_at", "finished_at", "duration_seconds")

PLAIN = {"": '""'} | {status.value: status.value for status in Status}
"""Texts that need no escaping."""


class PostgreSQLStatements(Statements):
    exclude_jobs = "NOT (id = ANY(%s))"
    # A time as text, for `read_shown`: what psycopg and Django do to read one takes 3 µs, this 0.3.
    raw_time = """to_char(next_run_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')"""
    lock_rows = "FOR UPDATE SKIP LOCKED"
    keeps_connection = False
    in_ids = "= ANY(%s)"

    INSERT = """
        INSERT INTO jobs_jobrun (job_id, scheduled_for, slots, status, reason, instance, cause, attempt, queued_at, not_before,
                                 started_at, finished_at, requested_by, error, traceback, log)
        SELECT u.job_id, u.slot, u.slots, u.status, u.reason, u.instance, 'schedule', 1, %s, CASE WHEN u.instance = '' THEN %s END,
               CASE WHEN u.status = 'running' THEN %s END, CASE WHEN u.status IN ('missed', 'skipped') THEN %s END, '', '', '', ''
        FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[], %s::text[], %s::text[], %s::text[]) AS u (job_id, slot, slots, status, reason, instance)
        ON CONFLICT DO NOTHING RETURNING id, job_id, to_char(scheduled_for AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
    """
    CLAIM = """
        SELECT run, job FROM jobs_claim(%s::text[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::text[], %s, %s)
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
    FINISH_QUIET = """
        UPDATE jobs_jobrun r SET status = u.status, started_at = u.started_at, finished_at = u.finished_at, duration_seconds = u.duration_seconds
        FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::float8[]) AS u (id, status, started_at, finished_at, duration_seconds)
        WHERE r.id = u.id AND r.id = ANY(%s::bigint[]) AND r.instance = %s AND r.status || '' = 'running' RETURNING r.id
    """
    # PostgreSQL expects that hardly any run is running, and would go through all outcomes again for each that is.  Now it
    # hashes them; and with a status that it cannot foresee it finds the runs by id, not by an index full of what has ended.
    FORESEE = "SET LOCAL enable_nestloop = off"
    START = "UPDATE jobs_jobrun SET status = 'running', started_at = %s WHERE id = ANY(%s::bigint[]) AND instance = %s AND status || '' = 'queued' RETURNING id"

    PEEK_RAW = Statements.PEEK.replace("%s", "$1").encode()

    def lent(self) -> AbstractContextManager[None]:
        return nullcontext()

    def alone(self, seconds: float = -1) -> AbstractContextManager[object]:
        return nullcontext()

    def tune(self) -> None:
        """The server knows best."""

    def wait_at_most(self, seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds * 1000:.0f}ms"])

    def peek(self, instance: str) -> Peek:
        """Not by way of Django's and psycopg's cursors: a scheduler with nothing else to do asks five times a second, and they take three times as long."""
        import psycopg  # on SQLite nobody needs it, and it takes a tenth of a scheduler's start

        with connection.wrap_database_errors:
            connection.ensure_connection()
            result = connection.connection.pgconn.exec_params(self.PEEK_RAW, [instance.encode()])
            if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
                raise psycopg.errors.error_from_result(result)
        unapplied, next_run_time, next_request, cancelled = [result.get_value(0, column) for column in range(4)]
        return Peek(unapplied is not None, _read_timestamp(next_run_time), _read_timestamp(next_request), cancelled == b"t")

    def claim(self, guesses: Sequence[Guess], now: datetime, instance: str) -> dict[str, int]:
        """One statement, which is a transaction by itself: jobs_claim() in migration 0006."""
        late = any(guess.slots > 1 for guess in guesses)
        columns = [
            array([guess.job_id for guess in guesses]),
            array([guess.moment for guess in guesses]),
            array([guess.state[DIGEST].decode("ascii", "replace") for guess in guesses]),
            array([guess.following for guess in guesses]),
            *([array([getattr(guess, name) for guess in guesses]) for name in ("slot", "slots", "reason")] if late else [None, None, None]),
        ]
        with connection.cursor() as cursor:
            cursor.execute(self.CLAIM, [*columns, now, instance])
            return {job_id: run_id for run_id, job_id in cursor.fetchall()}

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
        quiet = [run for run in runs if run.is_quiet]
        telling = [run for run in runs if not run.is_quiet]
        with connection.cursor() as cursor:
            cursor.execute(self.FORESEE)
            return self._finish(cursor, self.FINISH_QUIET, QUIET_COLUMNS, quiet, instance) | self._finish(cursor, self.FINISH, FinishedRun.__slots__, telling, instance)

    @staticmethod
    def _finish(cursor: Any, statement: str, names: Sequence[str], runs: Sequence[FinishedRun], instance: str) -> set[int]:
        if not runs:
            return set()
        columns = [array([getattr(run, name) for run in runs]) for name in names]
        cursor.execute(statement, [*columns, columns[0], instance])
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
