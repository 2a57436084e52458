"""How many runs there have been: totals that survive the runs, and so never fall.

Every finished run is in exactly one of two sets.  *Counted*: it was added to `RunTotal`.  *Fresh*: it was not, and
still has its row; its id is greater than `RollupCursor.counted_to`, or it is listed in `PendingRollup` because it was still
going on when the tally passed it.  The true total is the sum of both, and reading it needs no lock: when the tally's
version is the same before and after, nothing moved from one set to the other meanwhile.

A run moves from fresh to counted in two ways: `roll_up`, when many are fresh, so that reading stays cheap; and
`add_pruned`, in the transaction that deletes its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F, Max, Q

from jobs.models.run import JobRun, JobRunQuerySet
from jobs.models.run_stats import Histogram, RunStats, Totals, merge, no_delays, no_durations, sum_up

ROLL_UP_FROM = 10_000
"""So many fresh runs are read in a few milliseconds; with more it is time to count them for good."""

READ_ATTEMPTS = 5
"""Then reading waits for its turn: pruning could win the race for ever."""

MAX_LATE = 20_000
"""More runs than this are not stepped over at once: a query takes only so many parameters."""


class RunTotalQuerySet(models.QuerySet["RunTotal"]):
    def current(self) -> Totals:
        """The totals as they are now, by job and status."""
        for _attempt in range(READ_ATTEMPTS):
            tally = RollupCursor.objects.current()
            totals = self._read(tally)
            if RollupCursor.objects.current().version == tally.version:
                return totals
        with transaction.atomic():
            return self._read(RollupCursor.objects.locked())

    def _read(self, tally: RollupCursor) -> Totals:
        counted = {(row.job_id, row.status): row.sums for row in self.iterator(10_000)}
        return merge(counted, *(sum_up(runs) for runs in tally.fresh()))

    def roll_up(self) -> int:
        """Count for good what is fresh, if that is much; returns how many runs were counted.

        Any process may do it at any moment: the first to commit wins, the others have done nothing.
        """
        tally = RollupCursor.objects.current()
        settled = tally.settle()
        if settled - tally.counted_to < ROLL_UP_FROM:
            return 0
        # The order matters: a run that ends between these two queries stays fresh, as a late one.
        going_on = list(JobRun.objects.active().filter(pk__gt=tally.counted_to, pk__lte=settled).order_by("pk").values_list("pk", flat=True)[:MAX_LATE])
        settled = going_on[-1] if len(going_on) == MAX_LATE else settled
        late = list(JobRun.objects.finished().filter(pk__in=PendingRollup.objects.values("run")).order_by("pk").values_list("pk", flat=True))
        totals = merge(
            sum_up(JobRun.objects.finished().filter(pk__gt=tally.counted_to, pk__lte=settled).exclude(pk__in=going_on)),
            *(sum_up(JobRun.objects.filter(pk__in=part)) for part in _parts(late)),
        )
        with transaction.atomic():
            if not tally.move_on(settled):
                return 0
            self._add(totals)
            PendingRollup.objects.bulk_create([PendingRollup(run=run) for run in going_on])
            PendingRollup.forget(late)
        return sum(sums.runs for sums in totals.values())

    def fresh_among(self, run_ids: Sequence[int]) -> Fresh:
        """What is not counted yet of these finished runs.  Only reads, so that nobody has to wait for it."""
        tally = RollupCursor.objects.current()
        late = [run for part in _parts(run_ids) for run in PendingRollup.objects.filter(run__in=part).values_list("run", flat=True)]
        fresh = [*late, *(run for run in run_ids if run > tally.counted_to)]
        return Fresh(tally, merge(*(sum_up(JobRun.objects.filter(pk__in=part)) for part in _parts(fresh))), late)

    def add_pruned(self, fresh: Fresh) -> bool:
        """Count these runs for good, in the transaction that deletes them; False when something was counted since they were looked at."""
        if not fresh.totals:
            return True
        if not fresh.tally.move_on(fresh.tally.counted_to):
            return False
        self._add(fresh.totals)
        PendingRollup.forget(fresh.late)
        return True

    def _add(self, totals: Totals) -> None:
        """Add to the rows.  This transaction has moved the tally on and holds its row, so nobody else writes here."""
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
    """The sums of some fresh runs, which hold as long as the tally is at this version."""

    tally: RollupCursor
    totals: Totals
    late: Sequence[int]


class RunTotal(models.Model):
    """The counted runs of one job that ended with one status."""

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
        """The tally, held until the transaction ends."""
        self.current()
        return self.select_for_update().get(pk=1)


class RollupCursor(models.Model):
    """One row: how far the runs are counted."""

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
        return f"counted to run {self.counted_to}"

    def fresh(self) -> tuple[JobRunQuerySet, JobRunQuerySet]:
        """Finished runs that are not counted yet: those after the tally, and the late ones."""
        finished = JobRun.objects.finished()
        return finished.filter(pk__gt=self.counted_to), finished.filter(pk__lte=self.counted_to, pk__in=PendingRollup.objects.values("run"))

    def move_on(self, counted_to: int) -> bool:
        """Take the next version; False when somebody else took it first."""
        return bool(RollupCursor.objects.filter(pk=1, version=self.version).update(version=F("version") + 1, counted_to=counted_to))

    def settle(self) -> int:
        """An id up to which every run that there will ever be is there already.

        PostgreSQL gives out ids before it commits, so a smaller one may still come.  What was seen once is settled
        when every transaction that was open then has ended.
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
    """A run that was still going on when the tally passed its id."""

    run = models.BigIntegerField(primary_key=True)

    class Meta:
        db_table = "jobs_laterun"

    def __str__(self) -> str:
        return str(self.run)

    @classmethod
    def forget(cls, run_ids: Sequence[int]) -> None:
        for part in _parts(run_ids):
            cls.objects.filter(run__in=part).delete()
