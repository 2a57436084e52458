"""The statements for PostgreSQL, which takes many rows as one array for each column."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from jobs.engine.statements.base import Statements
from jobs.engine.statements.connection_use import PostgreSQLConnectionUse
from jobs.engine.statements.rows import DIGEST, ExpectedClaim, FinishedRun, NamedRun, NewRun, PendingWork, read_time_text


def array(values: Sequence[Any]) -> str:
    """The text form of a PostgreSQL array, which is that of JSON as long as nothing is escaped."""
    try:
        text = orjson.dumps(values).decode()
    except TypeError:  # an integer of more than 64 bits, half a surrogate pair
        return _escaped_array(values)
    return _escaped_array(values) if "\\" in text else "{" + text[1:-1] + "}"


def _escaped_array(values: Sequence[Any]) -> str:
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value) if not isinstance(value, datetime) else f'"{value.isoformat()}"'


QUIET_COLUMNS = ("id", "status", "started_at", "finished_at", "duration_seconds")


class PostgreSQLStatements(PostgreSQLConnectionUse, Statements):
    exclude_jobs = "NOT (id = ANY(%s))"
    # A time as text, for `read_time_text`: psycopg and Django take 3 µs to read a time, this takes 0.3.
    raw_time = """to_char(next_run_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')"""
    lock_rows = "FOR UPDATE SKIP LOCKED"
    row_id = "id"
    heartbeats = "json_object_agg(id, heartbeat_at::text)::text"
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
        FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::float8[], %s::text[], %s::jsonb[],
                    %s::text[], %s::text[], %s::text[], %s::jsonb[])
             AS u (job_id, slot, id, status, started_at, finished_at, duration_seconds, reason, result, error, traceback, log, progress)
        WHERE r.id = u.id AND r.id = ANY(%s::bigint[]) AND r.job_id = u.job_id AND r.scheduled_for = u.slot AND r.instance = %s AND r.status || '' = 'running'
        RETURNING r.id
    """
    FINISH_QUIET = """
        UPDATE jobs_jobrun r SET status = u.status, started_at = u.started_at, finished_at = u.finished_at, duration_seconds = u.duration_seconds
        FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::float8[])
             AS u (job_id, slot, id, status, started_at, finished_at, duration_seconds)
        WHERE r.id = u.id AND r.id = ANY(%s::bigint[]) AND r.job_id = u.job_id AND r.scheduled_for = u.slot AND r.instance = %s AND r.status || '' = 'running'
        RETURNING r.id
    """
    # The planner underestimates running rows and picks a nested loop; disabling it forces a hash join: for 500 outcomes 500 rows, not 500 × 500.  The status is compared
    # as an expression that the planner cannot estimate, so that it finds runs by id and not by an index full of ended runs.
    FORCE_HASH_JOIN = "SET LOCAL enable_nestloop = off"
    START = "UPDATE jobs_jobrun SET status = 'running', started_at = %s WHERE id = ANY(%s::bigint[]) AND instance = %s AND status || '' = 'queued' RETURNING id"

    PENDING_WORK_RAW = Statements.PENDING_WORK.replace("%s", "$1").encode()

    def pending_work(self, instance: str) -> PendingWork:
        """Without Django's and psycopg's cursors: an idle scheduler asks five times a second, and they take three times as long."""
        import psycopg  # on SQLite nothing needs it, and importing it takes a tenth of a scheduler's start

        with connection.wrap_database_errors:
            connection.ensure_connection()
            result = connection.connection.pgconn.exec_params(self.PENDING_WORK_RAW, [instance.encode()])
            if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
                raise psycopg.errors.error_from_result(result)
        unapplied, next_run_time, next_request, cancelled = [result.get_value(0, column) for column in range(4)]
        return PendingWork(unapplied is not None, self._time_of_work(next_run_time), self._time_of_work(next_request), cancelled == b"t")

    def claim(self, claims: Sequence[ExpectedClaim], now: datetime, instance: str) -> dict[str, int]:
        """One call of jobs_claim() (migration 0006), which is a transaction by itself."""
        late = any(claim.slots > 1 for claim in claims)
        columns = [
            array([claim.job_id for claim in claims]),
            array([claim.fire_time for claim in claims]),
            array([claim.state[DIGEST].decode("ascii", "replace") for claim in claims]),
            array([claim.following for claim in claims]),
            *([array([getattr(claim, name) for claim in claims]) for name in ("slot", "slots", "reason")] if late else [None, None, None]),
        ]
        with connection.cursor() as cursor:
            cursor.execute(self.CLAIM, [*columns, now, instance])
            return {job_id: run_id for run_id, job_id in cursor.fetchall()}

    def insert_runs(self, runs: Sequence[NewRun], now: datetime) -> list[int | None]:
        columns = [array([getattr(run, name) for run in runs]) for name in ("job_id", "slot", "slots", "status", "reason", "instance")]
        with connection.cursor() as cursor:
            cursor.execute(self.INSERT, [now, now, now, now, *columns])
            ids = {(job_id, read_time_text(slot)): run_id for run_id, job_id, slot in cursor.fetchall()}
        return [ids.get((run.job_id, run.slot)) for run in runs]

    def advance(self, next_times: Sequence[tuple[str, datetime | None]]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(self.ADVANCE, [array([job_id for job_id, _ in next_times]), array([at for _, at in next_times])])

    def finish_runs(self, outcomes: Sequence[tuple[NamedRun, FinishedRun]], instance: str) -> set[int]:
        quiet = [outcome for outcome in outcomes if outcome[1].is_quiet]
        others = [outcome for outcome in outcomes if not outcome[1].is_quiet]
        with connection.cursor() as cursor:
            cursor.execute(self.FORCE_HASH_JOIN)
            return self._finish(cursor, self.FINISH_QUIET, QUIET_COLUMNS, quiet, instance) | self._finish(cursor, self.FINISH, FinishedRun.__slots__, others, instance)

    @staticmethod
    def _finish(cursor: Any, statement: str, names: Sequence[str], outcomes: Sequence[tuple[NamedRun, FinishedRun]], instance: str) -> set[int]:
        if not outcomes:
            return set()
        keys = [array([run.job_id for run, _finished in outcomes]), array([run.scheduled_for for run, _finished in outcomes])]
        columns = [array([getattr(finished, name) for _run, finished in outcomes]) for name in names]
        cursor.execute(statement, [*keys, *columns, columns[0], instance])
        return {run_id for (run_id,) in cursor.fetchall()}

    def start_runs(self, run_ids: Sequence[int], instance: str, now: datetime) -> set[int]:
        with connection.cursor() as cursor:
            cursor.execute(self.START, [now, array(run_ids), instance])
            return {run_id for (run_id,) in cursor.fetchall()}

    def write_time(self, at: datetime | None) -> Any:
        return at

    def write_ids(self, ids: Sequence[str]) -> Any:
        return list(ids)

    def read_time(self, value: Any) -> datetime | None:
        """The time of a timestamptz in text form, which has an offset; psycopg returns others as times."""
        return datetime.fromisoformat(value.decode()) if isinstance(value, bytes) else value
