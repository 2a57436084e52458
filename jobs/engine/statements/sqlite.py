"""SQLite takes its rows as VALUES, in one IMMEDIATE transaction at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction

from jobs.engine.statements.base import FinishedRun, Guess, NewRun, Statements, read_shown
from jobs.engine.statements.checkpoints import PAGES, Checkpoints
from jobs.models import Status

ROWS_AT_ONCE = 256
"""Rows in one statement, which may have 32,766 values."""

FEW_ROWS = 12
"""Up to so many rows have a text for each number of them."""

TUNING = ("PRAGMA cache_size = -32000", f"PRAGMA wal_autocheckpoint = {4 * PAGES}")
"""32 MB of pages in memory, of which runs of many jobs touch one each; and who commits need not care for the log as long as somebody else does."""


@cache
def _text(statement: str, size: int, width: int, mark: str) -> str:
    row = "(" + ",".join([mark] * width) + ")"
    return statement.format(rows=",".join([row] * size)).replace("%s", mark)


class SQLiteStatements(Statements):
    exclude_jobs = "id NOT IN (SELECT value FROM json_each(%s))"
    raw_time = "next_run_time || ''"  # no declared type, so that Django's converter does not see it; it takes ten times as long
    lock_rows = ""  # the transaction is IMMEDIATE: nobody else writes
    keeps_connection = True
    in_ids = "IN (SELECT value FROM json_each(%s))"
    _turn = threading.RLock()
    """Whose turn it is to use the connection that tick and recorder share."""
    _checkpoints: ClassVar[Checkpoints | None] = None
    """Of the process that lends its connection."""

    INSERT = """
        INSERT INTO jobs_jobrun (id, job_id, scheduled_for, slots, status, reason, instance, cause, attempt, queued_at, not_before,
                                 started_at, finished_at, requested_by, error, traceback, log)
        SELECT column1, column2, column3, column4, column5, column6, column7, 'schedule', 1, %s, CASE WHEN column7 = '' THEN %s END,
               CASE WHEN column5 = 'running' THEN %s END, CASE WHEN column5 IN ('missed', 'skipped') THEN %s END, '', '', '', ''
        FROM (VALUES {rows}) AS v WHERE true ON CONFLICT DO NOTHING
    """
    ADVANCE = "UPDATE django_apscheduler_djangojob AS j SET next_run_time = v.column2 FROM (VALUES {rows}) AS v WHERE j.id = v.column1"
    ADVANCE_KNOWN = """
        UPDATE django_apscheduler_djangojob AS j SET next_run_time = v.column2 FROM (VALUES {rows}) AS v
        WHERE j.id = v.column1 AND j.next_run_time = v.column3 AND j.job_state = v.column4
    """
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

    @contextmanager
    def lent(self) -> Iterator[Callable[[], None]]:
        """SQLite has one writer at a time, lets the next one sleep for up to 100 ms, and forgets all pages it has read when another connection writes."""
        ours = connections[DEFAULT_DB_ALIAS]
        ours.inc_thread_sharing()
        try:
            with Checkpoints(self.alone) as SQLiteStatements._checkpoints:
                yield lambda: connections.__setitem__(DEFAULT_DB_ALIAS, ours)
        finally:
            SQLiteStatements._checkpoints = None
            ours.dec_thread_sharing()

    @contextmanager
    def alone(self, seconds: float = -1) -> Iterator[None]:
        if not self._turn.acquire(timeout=seconds):
            raise OperationalError(f"another thread has used the connection for {seconds:g} s")
        try:
            yield
        finally:
            self._turn.release()

    def tune(self) -> None:
        with connection.cursor() as cursor:
            for pragma in TUNING:
                cursor.execute(pragma)

    def drop_connection(self, error: Exception) -> None:
        """Not when the file is locked or its disk full: to close the last connection truncates the log, and the next few claims would just fit in."""
        if getattr(error.__cause__, "sqlite_errorname", "") not in {"SQLITE_BUSY", "SQLITE_FULL"}:
            super().drop_connection(error)

    def wait_at_most(self, seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")

    def _write_rows(self, statement: str, rows: Sequence[tuple[Any, ...]], before: Sequence[Any] = (), after: Sequence[Any] = ()) -> int:
        """Execute `statement` for all `rows`, many at once; returns how many it has written.

        Once for each row would take longer, and let go of the interpreter as often; it has to be waited for each time.
        More than a few are split into powers of two: that makes few texts, and SQLite prepares each of them once.
        """
        written = first = 0
        mark = "%s" if connection.queries_logged else "?"  # Django puts one for the other, which takes longer than the rest of its work
        with connection.cursor() as cursor:
            while first < len(rows):
                left = len(rows) - first
                size = left if left <= FEW_ROWS else min(ROWS_AT_ONCE, 1 << left.bit_length() - 1)
                values = chain.from_iterable(rows[first : first + size])
                cursor.execute(_text(statement, size, len(rows[0]), mark), [*before, *values, *after])
                written += cursor.rowcount
                if self._checkpoints is not None:
                    self._checkpoints.count(cursor.rowcount)
                first += size
        return written

    def claim(self, guesses: Sequence[Guess], now: datetime, instance: str) -> dict[str, int]:
        """All that have no run going on, or none: a wrong guess is rare, and somebody else's claim or edit."""
        with self.transaction():
            occupied = self.occupied([guess.job_id for guess in guesses])
            free = [guess for guess in guesses if guess.job_id not in occupied]
            moments = [self.write_time(guess.moment) for guess in free]
            moves = [(guess.job_id, self.write_time(guess.following), moment, guess.state) for guess, moment in zip(free, moments, strict=True)]
            first = self._next_id()
            rows = [
                (
                    first + number,
                    guess.job_id,
                    moments[number] if guess.slot is guess.moment else self.write_time(guess.slot),
                    guess.slots,
                    "running",
                    guess.reason,
                    instance,
                )
                for number, guess in enumerate(free)
            ]
            if self._write_rows(self.ADVANCE_KNOWN, moves) != len(free) or self._insert(rows, now) != len(free):
                transaction.set_rollback(True)
                return {}
        return {guess.job_id: first + number for number, guess in enumerate(free)}

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

    def advance(self, moves: Sequence[tuple[str, datetime | None]]) -> None:
        self._write_rows(self.ADVANCE, [(job_id, self.write_time(moment)) for job_id, moment in moves])

    def finish_runs(self, runs: Sequence[FinishedRun], instance: str) -> set[int]:
        quiet: list[tuple[Any, ...]] = []
        telling: list[tuple[Any, ...]] = []
        for run in runs:
            row = (run.id, run.status, self.write_time(run.started_at), self.write_time(run.finished_at), run.duration_seconds)
            if run.is_quiet:
                quiet.append(row)
            else:
                telling.append(row + run.said)
        written = self._write_rows(self.FINISH_QUIET, quiet, after=[instance]) + self._write_rows(self.FINISH, telling, after=[instance])
        if written == len(runs):
            return {run.id for run in runs}
        with connection.cursor() as cursor:
            stored = self._with_status(cursor, [run.id for run in runs], instance)
        return {run.id for run in runs if stored.get(run.id) == run.status}

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
