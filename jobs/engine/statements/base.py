"""The statements that both databases share, and the interface of the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from django.db import connection

from jobs.engine.statements.connection_use import ConnectionUse
from jobs.engine.statements.rows import DueEntry, ExpectedClaim, FinishedRun, Housekeeping, NamedRun, NewRun, PendingWork, read_time_text, state_bytes
from jobs.models.instance import ALIVE_FOR
from jobs.models.readable import UNREADABLE, attempt, is_damage

log = structlog.get_logger()

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

APPLIED = "(SELECT d.id FROM jobs_jobdefinition d WHERE d.id = django_apscheduler_djangojob.id AND NOT (d.applied_revision = d.revision)) IS NULL"
"""Of an entry of the store: its definition, if any, is applied.

A scalar subquery, which PostgreSQL looks up for each row by an index; NOT IN and NOT EXISTS would read the whole table,
because it expects most definitions to be unapplied.
"""


def _due_entry(job_id: Any, at: Any, state: Any) -> DueEntry:
    if not isinstance(job_id, str):
        raise TypeError(f"the id is a {type(job_id).__name__}, expected a text")
    return job_id, read_time_text(at), state_bytes(state)


class Statements(ConnectionUse):
    """The bulk statements; `for_connection()` returns the right ones."""

    exclude_jobs: str
    raw_time: str
    lock_rows: str
    in_ids: str
    row_id: str
    """What tells an entry of the store, also one whose id is no text."""
    heartbeats: str
    """The ids and heartbeats of instances, as the text of a JSON object."""

    # MIN and not EXISTS: PostgreSQL expects most rows to be unapplied, and would scan for the first one without the index.
    PENDING_WORK = """
        SELECT (SELECT MIN(id) FROM jobs_jobdefinition WHERE NOT (applied_revision = revision)),
               (SELECT MIN(next_run_time) FROM django_apscheduler_djangojob),
               (SELECT MIN(not_before) FROM jobs_jobrun WHERE status = 'queued' AND instance = ''),
               EXISTS (SELECT 1 FROM jobs_jobrun WHERE cancel_requested_at IS NOT NULL AND status IN ('queued', 'running') AND instance = %s)
    """

    HOUSEKEEPING = """
        SELECT (SELECT name FROM jobs_databaseenvironment WHERE id = 1),
               (SELECT {heartbeats} FROM jobs_schedulerinstance WHERE id <> %s),
               EXISTS (SELECT 1 FROM jobs_schedulerinstance WHERE NOT (last_tick_at BETWEEN %s AND %s) AND NOT stopping),
               EXISTS (SELECT 1 FROM jobs_jobrun WHERE status IN ('queued', 'running') AND instance <> ''
                       AND instance NOT IN (SELECT id FROM jobs_schedulerinstance)),
               EXISTS (SELECT 1 FROM jobs_jobrun WHERE status IN ('queued', 'running') AND instance = %s)
    """

    def pending_work(self, instance: str) -> PendingWork:
        with connection.cursor() as cursor:
            row, problem = attempt(lambda: cursor.execute(self.PENDING_WORK, [instance]).fetchone())
        if row is None or problem:
            return PendingWork(unapplied=True, next_run_time=LONG_AGO, next_request=LONG_AGO, cancelled=True)
        unapplied, next_run_time, next_request, cancelled = row
        return PendingWork(unapplied is not None, self._time_of_work(next_run_time), self._time_of_work(next_request), bool(cancelled))

    def _time_of_work(self, value: Any) -> datetime | None:
        """A time that cannot be read is one of work that is due: whoever reads the rows sets the damaged one aside."""
        at, problem = attempt(lambda: self.read_time(value))
        return LONG_AGO if problem else at

    def housekeeping(self, instance: str, database_now: datetime) -> Housekeeping:
        """The duties of an instance that has just written its heartbeat."""
        with connection.cursor() as cursor:
            limits = [self.write_time(database_now - ALIVE_FOR), self.write_time(database_now + ALIVE_FOR)]
            cursor.execute(self.HOUSEKEEPING.format(heartbeats=self.heartbeats), [instance, *limits, instance])
            environment, others, failing, ownerless, active = cursor.fetchone()
        return Housekeeping(environment, orjson.loads(others or "{}"), bool(ownerless), bool(failing), bool(active))

    def lock_due(self, now: datetime, longest: int, latest: int, excluded: Sequence[str]) -> tuple[list[DueEntry], list[DueEntry]]:
        """Lock and return due entries: the `longest` due ones and, if there are more, the `latest` that came due.

        Without those of definitions that are not applied: a confirmed edit is obeyed by a scheduler that was frozen meanwhile, too.
        """
        first = self._lock_due(now, "ASC", longest, excluded)
        if len(first) < longest or not latest:
            return first, []
        known = {job_id for job_id, _at, _state in first}
        return first, [entry for entry in self._lock_due(now, "DESC", latest, excluded) if entry[0] not in known]

    def _lock_due(self, now: datetime, order: str, limit: int, excluded: Sequence[str]) -> list[DueEntry]:
        where = f"AND {self.exclude_jobs}" if excluded else ""
        arguments = [self.write_time(now), *([self.write_ids(excluded)] if excluded else []), limit]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, {self.raw_time}, job_state FROM django_apscheduler_djangojob "  # noqa: S608 -- only constants of this class are filled in
                f"WHERE next_run_time <= %s AND {APPLIED} {where} ORDER BY next_run_time {order} LIMIT %s {self.lock_rows}",
                arguments,
            )
            try:
                return [_due_entry(*row) for row in cursor.fetchall()]
            except UNREADABLE as error:
                if not is_damage(error):
                    raise
                self._mend_entries(cursor)
        return []  # the next claim finds the others

    def _mend_entries(self, cursor: Any) -> None:
        """Set aside the entries that cannot be read; their jobs get new ones when they are applied again."""
        cursor.execute(f"SELECT {self.row_id} FROM django_apscheduler_djangojob WHERE next_run_time IS NOT NULL")  # noqa: S608 -- see above
        for (row_id,) in cursor.fetchall():
            try:
                cursor.execute(f"SELECT id, {self.raw_time}, job_state FROM django_apscheduler_djangojob WHERE {self.row_id} = %s", [row_id])  # noqa: S608 -- see above
                _due_entry(*cursor.fetchone())
            except UNREADABLE as error:
                if not is_damage(error):
                    raise
                log.warning("job_set_aside", job=str(row_id), problem=f"its entry in the store cannot be read: {type(error).__name__}: {error}")
                mended = f"SELECT id FROM django_apscheduler_djangojob WHERE {self.row_id} = %s"  # noqa: S608 -- see above
                cursor.execute(f"UPDATE jobs_jobdefinition SET applied_revision = 0 WHERE id = ({mended})", [row_id])  # noqa: S608 -- see above
                cursor.execute(f"UPDATE django_apscheduler_djangojob SET next_run_time = NULL WHERE {self.row_id} = %s", [row_id])  # noqa: S608 -- see above

    def occupied(self, job_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """By job: the number of its runs in progress anywhere, and the id of the oldest of them."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT job_id, COUNT(*), MIN(id) FROM jobs_jobrun WHERE status IN ('queued', 'running') AND instance <> '' "  # noqa: S608 -- see above
                f"AND job_id {self.in_ids} GROUP BY job_id",
                [self.write_ids(job_ids)],
            )
            return {job_id: (count, oldest) for job_id, count, oldest in cursor.fetchall()}

    @abstractmethod
    def claim(self, claims: Sequence[ExpectedClaim], now: datetime, instance: str) -> dict[str, int]:
        """Start the runs of those claims that the rows agree with, in a transaction of its own; returns run ids by job."""

    @abstractmethod
    def insert_runs(self, runs: Sequence[NewRun], now: datetime) -> list[int | None]:
        """Insert the rows; returns their ids, None for a slot that had its answer already."""

    @abstractmethod
    def advance(self, next_times: Sequence[tuple[str, datetime | None]]) -> None:
        """Set `next_run_time` of locked entries."""

    @abstractmethod
    def finish_runs(self, outcomes: Sequence[tuple[NamedRun, FinishedRun]], instance: str) -> set[int]:
        """Record outcomes of this instance's running runs; returns the ids of those that were still its own."""

    @abstractmethod
    def start_runs(self, run_ids: Sequence[int], instance: str, now: datetime) -> set[int]:
        """Move this instance's queued runs to running; returns the ids of those that were still its own."""

    @abstractmethod
    def write_time(self, at: datetime | None) -> Any: ...

    @abstractmethod
    def write_ids(self, ids: Sequence[str]) -> Any: ...

    @abstractmethod
    def read_time(self, value: Any) -> datetime | None: ...
