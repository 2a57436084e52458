"""How many runs there have been: totals that outlive the runs' rows, and so never fall.

docs/run-totals.md has the proof; in short:

Each finished run is in exactly one of two sets.  A run is *rolled up* when it was added to `RunTotal`.  A run is
*fresh* when it was not and has its row; then its id is greater than `RollupCursor.counted_to`, or is listed in
`PendingRollup` because the run was in progress when the cursor passed it.  The true total is the sum of both sets.

Two transactions move runs from fresh to rolled up: `roll_up`, once many are fresh, to keep reading cheap, and
`add_pruned`, which deletes their rows as well.  Each begins by taking the cursor's next version, so only one of
them can win; the sums that it adds were read before.  Reading needs no lock: when the version is the same before and
after, no run changed its set in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F, Max, Q

from jobs.models.readable import in_pages
from jobs.models.run import JobRun, JobRunQuerySet
from jobs.models.run_stats import Histogram, RunStats, Totals, merge, no_delays, no_durations, sum_up

ROLL_UP_FROM = 10_000
"""Reading this many fresh runs takes a few milliseconds."""

READ_ATTEMPTS = 5
"""After these, reading locks the cursor: pruning could win the race each time."""

MAX_PENDING = 20_000
"""The cursor passes at most this many runs in progress at once, because a query takes a limited number of parameters."""


class RunTotalQuerySet(models.QuerySet["RunTotal"]):
    def current(self) -> Totals:
        """The totals as they are now, by job and status."""
        for _attempt in range(READ_ATTEMPTS):
            cursor = RollupCursor.objects.current()
            totals = self._read(cursor)
            if RollupCursor.objects.current().version == cursor.version:
                return totals
        with transaction.atomic():
            return self._read(RollupCursor.objects.locked())

    def _read(self, cursor: RollupCursor) -> Totals:
        rolled_up = {(row.job_id, row.status): row.sums for row in in_pages(self.all(), 10_000)}
        return merge(rolled_up, *(sum_up(runs) for runs in cursor.fresh()))

    def roll_up(self) -> int:
        """Move fresh runs into the totals once there are many; returns how many were moved.

        Any process may call it at any time: the first to commit wins, and the others change nothing.
        """
        cursor = RollupCursor.objects.current()
        settled = cursor.settle()
        if settled - cursor.counted_to < ROLL_UP_FROM:
            return 0
        # In this order: a run that ends between these two queries is in the list, so it stays fresh, as a pending one.
        in_progress = list(JobRun.objects.active().filter(pk__gt=cursor.counted_to, pk__lte=settled).order_by("pk").values_list("pk", flat=True)[:MAX_PENDING])
        settled = in_progress[-1] if len(in_progress) == MAX_PENDING else settled
        ended = list(JobRun.objects.finished().filter(pk__in=PendingRollup.objects.values("run")).order_by("pk").values_list("pk", flat=True))
        totals = merge(
            sum_up(JobRun.objects.finished().filter(pk__gt=cursor.counted_to, pk__lte=settled).exclude(pk__in=in_progress)),
            *(sum_up(JobRun.objects.filter(pk__in=part)) for part in _parts(ended)),
        )
        with transaction.atomic():
            if not cursor.advance(settled):
                return 0
            self._add(totals)
            PendingRollup.objects.bulk_create([PendingRollup(run=run) for run in in_progress])
            PendingRollup.remove(ended)
        return sum(sums.runs for sums in totals.values())

    def fresh_among(self, run_ids: Sequence[int]) -> Fresh:
        """The sums of those of these finished runs that are fresh.  Only reads, so no scheduler waits for it."""
        cursor = RollupCursor.objects.current()
        pending = [run for part in _parts(run_ids) for run in PendingRollup.objects.filter(run__in=part).values_list("run", flat=True)]
        fresh = [*pending, *(run for run in run_ids if run > cursor.counted_to)]
        return Fresh(cursor, merge(*(sum_up(JobRun.objects.filter(pk__in=part)) for part in _parts(fresh))), pending)

    def add_pruned(self, fresh: Fresh) -> bool:
        """Add these sums in the transaction that deletes the rows; False when a run was rolled up since `fresh_among` read them."""
        if not fresh.totals:
            return True
        if not fresh.cursor.advance(fresh.cursor.counted_to):
            return False
        self._add(fresh.totals)
        PendingRollup.remove(fresh.pending)
        return True

    def _add(self, totals: Totals) -> None:
        """Add to the rows.  This transaction has advanced the cursor and holds its row lock, so no other one writes here."""
        for keys in _parts(list(totals)):
            known = {(row.job_id, row.status): row for row in self.filter(job_id__in={job_id for job_id, _status in keys})}
            rows = [known.get(key) or RunTotal(job_id=key[0], status=key[1]) for key in keys]
            for row, key in zip(rows, keys, strict=True):
                row.sums = merge({key: row.sums}, {key: totals[key]})[key]
            self.bulk_create(rows, update_conflicts=True, unique_fields=["job_id", "status"], update_fields=RunTotal.SUMS)


def _parts(items: Sequence[Any], size: int = 2_000) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


@dataclass(frozen=True, slots=True)
class Fresh:
    """The sums of some fresh runs, valid as long as the cursor has this version; `pending` are those of them that the cursor has passed."""

    cursor: RollupCursor
    totals: Totals
    pending: Sequence[int]


class RunTotal(models.Model):
    """The rolled up runs of one job that ended with one status."""

    SUMS = ["runs", "durations", "durations_sum", "delays", "delays_sum", "last_finished_at"]

    job_id = models.CharField(max_length=100)  # no foreign key: history outlives its job
    status = models.CharField(max_length=10)
    runs = models.PositiveBigIntegerField(default=0)
    durations = models.JSONField(default=list)
    durations_sum = models.FloatField(default=0.0)
    delays = models.JSONField(default=list)
    delays_sum = models.FloatField(default=0.0)
    last_finished_at = models.DateTimeField(null=True)

    objects = RunTotalQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["job_id", "status"], name="jobs_total_one_row_a_status"),)

    def __str__(self) -> str:
        return f"{self.job_id} {self.status}: {self.runs}"

    @property
    def sums(self) -> RunStats:
        durations = Histogram(self.durations or no_durations().counts, self.durations_sum)
        return RunStats(self.runs, durations, Histogram(self.delays or no_delays().counts, self.delays_sum), self.last_finished_at)

    @sums.setter
    def sums(self, sums: RunStats) -> None:
        self.runs, self.last_finished_at = sums.runs, sums.last_finished_at
        self.durations, self.durations_sum = sums.durations.counts, sums.durations.sum
        self.delays, self.delays_sum = sums.delays.counts, sums.delays.sum


class RollupCursorQuerySet(models.QuerySet["RollupCursor"]):
    def current(self) -> RollupCursor:
        return self.get_or_create(pk=1)[0]

    def locked(self) -> RollupCursor:
        """The cursor, locked until the transaction ends."""
        self.current()
        return self.select_for_update().get(pk=1)


class RollupCursor(models.Model):
    """One row: up to which id runs are rolled up."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.PositiveBigIntegerField(default=0)
    counted_to = models.PositiveBigIntegerField(default=0)
    seen_to = models.PositiveBigIntegerField(default=0)
    seen_in = models.PositiveBigIntegerField(default=0)

    objects = RollupCursorQuerySet.as_manager()

    class Meta:
        db_table = "jobs_runtally"
        constraints = (models.CheckConstraint(name="jobs_one_tally", condition=Q(id=1)),)

    def __str__(self) -> str:
        return f"rolled up to run {self.counted_to}"

    def fresh(self) -> tuple[JobRunQuerySet, JobRunQuerySet]:
        """Finished runs that are not rolled up: those after the cursor, and pending ones that have ended."""
        finished = JobRun.objects.finished()
        return finished.filter(pk__gt=self.counted_to), finished.filter(pk__lte=self.counted_to, pk__in=PendingRollup.objects.values("run"))

    def advance(self, counted_to: int) -> bool:
        """Take the next version; False when another transaction has taken it."""
        return bool(RollupCursor.objects.filter(pk=1, version=self.version).update(version=F("version") + 1, counted_to=counted_to))

    def settle(self) -> int:
        """An id up to which no further row can appear.

        PostgreSQL gives out ids before the rows are committed, so a row with a smaller id may appear later.  The
        greatest id of an earlier call is settled once every transaction that was open then has ended.
        """
        if connection.vendor != "postgresql":
            return JobRun.objects.aggregate(last=Max("pk"))["last"] or 0
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT COALESCE((SELECT MAX(id) FROM jobs_jobrun), 0), pg_snapshot_xmax(pg_current_snapshot())::text::bigint, "
                "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            )
            last, newest_transaction, oldest_transaction = cursor.fetchone()
        if oldest_transaction < self.seen_in:
            return self.counted_to
        if last != self.seen_to:
            RollupCursor.objects.filter(pk=1, version=self.version).update(seen_to=last, seen_in=newest_transaction)
        return max(self.seen_to, self.counted_to)


class PendingRollup(models.Model):
    """The id of a run that was in progress when the cursor passed it."""

    run = models.BigIntegerField(primary_key=True)

    class Meta:
        db_table = "jobs_laterun"

    def __str__(self) -> str:
        return str(self.run)

    @classmethod
    def remove(cls, run_ids: Sequence[int]) -> None:
        for part in _parts(run_ids):
            cls.objects.filter(run__in=part).delete()
