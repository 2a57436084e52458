"""The statements for SQLite, which takes many rows as VALUES in one IMMEDIATE transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from typing import Any

import orjson
from django.db import connection, transaction

from jobs.engine.statements.base import Statements
from jobs.engine.statements.connection_use import SQLiteConnectionUse
from jobs.engine.statements.rows import ExpectedClaim, FinishedRun, NamedRun, NewRun, read_time_text
from jobs.models import Status

ROWS_AT_ONCE = 256
"""Rows in one statement, which takes at most 32,766 values."""

MOST_TEXTS = 100_000
"""Texts of fire times that are kept."""

FEW_ROWS = 12
"""Up to this number of rows, each number of rows has a statement text of its own."""


@cache
def _text(statement: str, size: int, width: int, mark: str) -> str:
    row = "(" + ",".join([mark] * width) + ")"
    return statement.format(rows=",".join([row] * size)).replace("%s", mark)


class SQLiteStatements(SQLiteConnectionUse, Statements):
    exclude_jobs = "id NOT IN (SELECT value FROM json_each(%s))"
    raw_time = "next_run_time || ''"  # an expression has no declared type, so Django's converter, ten times as slow, leaves it alone
    lock_rows = ""  # the transaction is IMMEDIATE: it is the only writer
    row_id = "rowid"
    heartbeats = "json_group_object(id, heartbeat_at || '')"
    in_ids = "IN (SELECT value FROM json_each(%s))"

    INSERT = """
        INSERT INTO jobs_jobrun (id, job_id, scheduled_for, slots, status, reason, instance, cause, attempt, queued_at, not_before,
                                 started_at, finished_at, requested_by, error, traceback, log)
        SELECT column1, column2, column3, column4, column5, column6, column7, 'schedule', 1, %s, CASE WHEN column7 = '' THEN %s END,
               CASE WHEN column5 = 'running' THEN %s END, CASE WHEN column5 IN ('missed', 'skipped') THEN %s END, '', '', '', ''
        FROM (VALUES {rows}) AS v WHERE true ON CONFLICT DO NOTHING
    """
    ADVANCE = "UPDATE django_apscheduler_djangojob AS j SET next_run_time = v.column2 FROM (VALUES {rows}) AS v WHERE j.id = v.column1"
    ADVANCE_EXPECTED = """
        UPDATE django_apscheduler_djangojob AS j SET next_run_time = v.column2 FROM (VALUES {rows}) AS v
        WHERE j.id = v.column1 AND j.next_run_time = v.column3 AND j.job_state = v.column4
          AND ((SELECT MIN(id) FROM jobs_jobdefinition WHERE NOT (applied_revision = revision)) IS NULL  -- asked once, and mostly so
               OR NOT EXISTS (SELECT 1 FROM jobs_jobdefinition d WHERE d.id = j.id AND NOT (d.applied_revision = d.revision)))
    """
    # The slot by its value too, should somebody have written the time in another form.
    FINISH_QUIET = """
        UPDATE jobs_jobrun AS r SET status = v.column4, started_at = v.column5, finished_at = v.column6, duration_seconds = v.column7
        FROM (VALUES {rows}) AS v WHERE r.id = v.column1 AND r.job_id = v.column2 AND r.instance = %s AND r.status = 'running'
          AND (r.scheduled_for = v.column3 OR julianday(r.scheduled_for) = julianday(v.column3))
    """
    FINISH = """
        UPDATE jobs_jobrun AS r SET status = v.column4, started_at = v.column5, finished_at = v.column6, duration_seconds = v.column7,
               reason = CASE WHEN v.column8 = '' THEN r.reason ELSE v.column8 END, result = v.column9, error = v.column10, traceback = v.column11,
               log = v.column12, progress = v.column13
        FROM (VALUES {rows}) AS v WHERE r.id = v.column1 AND r.job_id = v.column2 AND r.instance = %s AND r.status = 'running'
          AND (r.scheduled_for = v.column3 OR julianday(r.scheduled_for) = julianday(v.column3))
    """
    START = "UPDATE jobs_jobrun SET status = 'running', started_at = %s WHERE id = %s AND instance = %s AND status = 'queued'"

    def __init__(self) -> None:
        self._following: dict[str, tuple[datetime | None, str]] = {}
        """The next fire time of each job that was claimed, and its text form."""

    def _write_rows(self, statement: str, rows: Sequence[tuple[Any, ...]], before: Sequence[Any] = (), after: Sequence[Any] = ()) -> int:
        """Execute `statement` for all `rows`, many at once; returns the number of rows written.

        One statement for each row would release and reacquire the interpreter lock each time.  A larger number of
        rows is split into powers of two, so that there are few statement texts and SQLite prepares each of them once.
        """
        written = first = 0
        with connection.wrap_database_errors:
            # Django's cursor looks for placeholders to replace, which takes a tenth of a claim; it is needed only by who logs queries.
            cursor, mark = (connection.cursor(), "%s") if connection.queries_logged else (connection.connection.cursor(), "?")
            while first < len(rows):
                left = len(rows) - first
                size = left if left <= FEW_ROWS else min(ROWS_AT_ONCE, 1 << left.bit_length() - 1)
                values = chain.from_iterable(rows[first : first + size])
                cursor.execute(_text(statement, size, len(rows[0]), mark), [*before, *values, *after])
                written += cursor.rowcount
                if self._checkpoints is not None:
                    self._checkpoints.count(cursor.rowcount)
                first += size
            cursor.close()
        return written

    def claim(self, claims: Sequence[ExpectedClaim], now: datetime, instance: str) -> dict[str, int]:
        """All claims of jobs without a run in progress, or none: only another scheduler's claim or an edit makes a row differ."""
        with self.transaction():
            occupied = self.occupied([claim.job_id for claim in claims])
            free = [claim for claim in claims if claim.job_id not in occupied]
            fire_times = [self._written(claim) for claim in free]
            following = self._write_times([claim.following for claim in free])
            changes = [(claim.job_id, then, at, claim.state) for claim, at, then in zip(free, fire_times, following, strict=True)]
            first = self._next_id()
            rows = [
                (
                    first + number,
                    claim.job_id,
                    fire_times[number] if claim.slot is claim.fire_time else self.write_time(claim.slot),
                    claim.slots,
                    "running",
                    claim.reason,
                    instance,
                )
                for number, claim in enumerate(free)
            ]
            if self._write_rows(self.ADVANCE_EXPECTED, changes) != len(free) or self._insert(rows, now) != len(free):
                transaction.set_rollback(True)
                return {}
        if len(self._following) > MOST_TEXTS:
            self._following.clear()
        self._following |= {claim.job_id: (claim.following, then) for claim, then in zip(free, following, strict=True)}
        return {claim.job_id: first + number for number, claim in enumerate(free)}

    def _written(self, claim: ExpectedClaim) -> str:
        """The fire time in text form, which was mostly made by the claim before."""
        at, text = self._following.get(claim.job_id, (None, ""))
        return text if at is claim.fire_time else self.write_time(claim.fire_time)

    @staticmethod
    def _next_id() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs_jobrun'")
            return int((cursor.fetchone() or (0,))[0]) + 1

    def _insert(self, rows: Sequence[tuple[Any, ...]], now: datetime) -> int:
        return self._write_rows(self.INSERT, rows, before=[self.write_time(now)] * 4)

    def insert_runs(self, runs: Sequence[NewRun], now: datetime) -> list[int | None]:
        first = self._next_id()
        rows = [(first + n, run.job_id, self.write_time(run.slot), run.slots, run.status, run.reason, run.instance) for n, run in enumerate(runs)]
        if self._insert(rows, now) == len(runs):
            return list(range(first, first + len(runs)))
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM jobs_jobrun WHERE id >= %s", [first])
            inserted = {run_id for (run_id,) in cursor.fetchall()}
        return [first + n if first + n in inserted else None for n in range(len(runs))]

    def advance(self, next_times: Sequence[tuple[str, datetime | None]]) -> None:
        self._write_rows(self.ADVANCE, [(job_id, self.write_time(at)) for job_id, at in next_times])

    def finish_runs(self, outcomes: Sequence[tuple[NamedRun, FinishedRun]], instance: str) -> set[int]:
        quiet: list[tuple[Any, ...]] = []
        others: list[tuple[Any, ...]] = []
        slots = self._write_times([run.scheduled_for for run, _finished in outcomes])
        started = self._write_times([finished.started_at for _run, finished in outcomes])
        ended = self._write_times([finished.finished_at for _run, finished in outcomes])
        for (run, finished), slot, started_at, finished_at in zip(outcomes, slots, started, ended, strict=True):
            row = (finished.id, run.job_id, slot, finished.status, started_at, finished_at, finished.duration_seconds)
            if finished.is_quiet:
                quiet.append(row)
            else:
                others.append(row + finished.output)
        written = self._write_rows(self.FINISH_QUIET, quiet, after=[instance]) + self._write_rows(self.FINISH, others, after=[instance])
        if written == len(outcomes):
            return {finished.id for _run, finished in outcomes}
        with connection.cursor() as cursor:
            stored = self._with_status(cursor, [finished.id for _run, finished in outcomes], instance)
        return {finished.id for _run, finished in outcomes if stored.get(finished.id) == finished.status}

    def start_runs(self, run_ids: Sequence[int], instance: str, now: datetime) -> set[int]:
        with connection.cursor() as cursor:
            started_at = self.write_time(now)
            cursor.executemany(self.START, [(started_at, run_id, instance) for run_id in run_ids])
            if cursor.rowcount == len(run_ids):
                return set(run_ids)
            stored = self._with_status(cursor, run_ids, instance)
        return {run_id for run_id in run_ids if stored.get(run_id) == Status.RUNNING}

    @staticmethod
    def _with_status(cursor: Any, run_ids: Iterable[int], instance: str) -> dict[int, str]:
        ids = "[" + ",".join(map(str, run_ids)) + "]"
        cursor.execute("SELECT id, status FROM jobs_jobrun WHERE id IN (SELECT value FROM json_each(%s)) AND instance = %s", [ids, instance])
        return dict(cursor.fetchall())

    def write_time(self, at: datetime | None) -> Any:
        if at is None:
            return None
        return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(" ")[:-6]

    def _write_times(self, times: Sequence[datetime | None]) -> list[Any]:
        """Many times in text form: orjson writes a list in a fifth of the time that `isoformat` takes for its elements."""
        if not all(at is not None and at.tzinfo is UTC for at in times):
            return [self.write_time(at) for at in times]
        return orjson.dumps(times).decode().replace("T", " ").replace("+00:00", "")[2:-2].split('","') if times else []

    def write_ids(self, ids: Sequence[str]) -> Any:
        return orjson.dumps(list(ids)).decode()

    def read_time(self, value: Any) -> datetime | None:
        return None if value is None else read_time_text(value)
