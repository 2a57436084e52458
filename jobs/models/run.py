"""Job runs: the outcome of each slot and of each request.  Every rule about a run lives here."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.clock import database_now
from jobs.exceptions import RunFinished, RunNotFound
from jobs.models.readable import ReadableModel, ReadableQuerySet
from jobs.schedule.kinds import Status

log = structlog.get_logger()


class Cause(models.TextChoices):
    SCHEDULE = "schedule", _("schedule")
    MANUAL = "manual", _("manual")
    RETRY = "retry", _("retry")
    START = "start", _("scheduler start")


ACTIVE = (Status.QUEUED, Status.RUNNING)
BAD = (Status.FAILED, Status.TIMED_OUT, Status.ABANDONED, Status.MISSED)

MOST_REQUESTS_AT_ONCE = 1000
"""Requests of one job within a millisecond that each get a microsecond of their own."""

NEWEST_FIRST = ("-scheduled_for", "-attempt")
"""The order of one job's runs; runs of several jobs are ordered by id."""


class SqlLiteral(models.Value):
    """A constant that is part of the SQL text, not a parameter: SQLite uses a partial index only when it sees the values."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        return f"'{self.value}'", ()


class JobRunQuerySet(ReadableQuerySet["JobRun"]):
    def active(self) -> JobRunQuerySet:
        """Runs that have not ended."""
        return self.filter(status__in=[SqlLiteral(Status.QUEUED), SqlLiteral(Status.RUNNING)])

    def bad(self) -> JobRunQuerySet:
        """Failed, timed out, abandoned and missed runs."""
        return self.filter(status__in=[SqlLiteral(status) for status in BAD])

    def finished(self) -> JobRunQuerySet:
        return self.exclude(status__in=ACTIVE)

    def unclaimed(self) -> JobRunQuerySet:
        """Requested runs and retries that no scheduler has claimed."""
        return self.filter(status=SqlLiteral(Status.QUEUED), instance=SqlLiteral(""))

    def occupying(self) -> JobRunQuerySet:
        """Runs that count against `max_instances`: claimed and not ended."""
        return self.active().exclude(instance="")

    def queued(self) -> JobRunQuerySet:
        """Runs that wait for their start, claimed or not."""
        return self.active().filter(status=SqlLiteral(Status.QUEUED))  # `active` names the partial index's condition, which SQLite must read

    def running(self) -> JobRunQuerySet:
        """Runs whose job function may have been called."""
        return self.active().filter(status=SqlLiteral(Status.RUNNING))

    def newest_first(self) -> JobRunQuerySet:
        """The runs of one job along its unique index, read backwards."""
        return self.order_by(*NEWEST_FIRST)

    def release(self, now: datetime) -> int:
        """Give claimed runs back for any scheduler to claim; call it only for runs that certainly never started."""
        return self.active().update(status=Status.QUEUED, instance="", started_at=None, not_before=now)

    def abandon(self, now: datetime, reason: str) -> int:
        """End running runs whose process is gone."""
        return self.running().update(status=Status.ABANDONED, finished_at=now, reason=reason)

    def save_output(self, log: str, progress: Any) -> int:
        """Store the log so far and the progress of a running run."""
        return self.running().update(log=log, progress=progress)

    def find(self, run_id: int) -> JobRun:
        """The run with its job; raises RunNotFound."""
        try:
            return self.select_related("job").get(pk=run_id)
        except (self.model.DoesNotExist, OverflowError):
            raise RunNotFound(run_id) from None

    def request(self, job_id: str, requested_by: str, kwargs: dict[str, Any] | None = None, cause: Cause = Cause.MANUAL) -> JobRun:
        """Queue a run for any scheduler to claim; `kwargs` None means the definition's own."""
        slot = now = database_now()
        for _attempt in range(MOST_REQUESTS_AT_ONCE):
            try:
                with transaction.atomic():
                    run = self.create(
                        job_id=job_id,
                        scheduled_for=slot,
                        cause=cause,
                        queued_at=now,
                        not_before=now,
                        requested_by=requested_by,
                        kwargs=kwargs,
                    )
                log.info("job_run_requested", job=job_id, run_id=run.pk, requested_by=requested_by, cause=cause.value)
                return run
            except IntegrityError:
                if not self.filter(job=job_id, scheduled_for=slot, attempt=1).exists():
                    raise  # the database refuses something else, and would again
                slot += timedelta(microseconds=1)  # taken by a fire time or by another request
        raise DatabaseError(f"the {MOST_REQUESTS_AT_ONCE} microseconds from {now.isoformat()} all have a run of job {job_id!r}")

    def shift_requests_off_slot(self, job_id: str, slot: datetime) -> bool:
        """Move a requested run that has a slot's time by a microsecond; False when the row at that time is not a requested one."""
        there = self.filter(job=job_id, scheduled_for=slot)
        if not there.filter(attempt=1, cause__in=(Cause.MANUAL, Cause.START)).exists():
            return False
        free = slot + timedelta(microseconds=1)
        while self.filter(job=job_id, scheduled_for=free).exists():
            free += timedelta(microseconds=1)
        return there.update(scheduled_for=free) > 0


class JobRun(ReadableModel):
    """One attempt for a slot or a request.  Schedulers write the rows; the web server only requests runs and cancels them."""

    job = models.ForeignKey("jobs.JobDefinition", models.PROTECT, related_name="runs", db_index=False)
    scheduled_for = models.DateTimeField(_("scheduled for"))
    slots = models.PositiveBigIntegerField(_("scheduled times"), default=1)
    cause = models.CharField(_("cause"), max_length=10, choices=Cause, default=Cause.SCHEDULE)
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.QUEUED)
    reason = models.TextField(_("reason"), blank=True, default="")
    queued_at = models.DateTimeField(_("queued"), default=timezone.now)
    not_before = models.DateTimeField(_("not before"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    duration_seconds = models.FloatField(_("duration"), null=True, blank=True)
    instance = models.CharField(_("scheduler"), max_length=100, blank=True, default="")
    requested_by = models.CharField(_("requested by"), max_length=150, blank=True, default="")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    kwargs = models.JSONField(_("arguments"), null=True, blank=True)
    result = models.JSONField(_("result"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True, default="")
    traceback = models.TextField(_("traceback"), blank=True, default="")
    log = models.TextField(_("log"), blank=True, default="")
    progress = models.JSONField(_("progress"), null=True, blank=True)

    objects = JobRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ("-id",)
        base_manager_name = "objects"
        permissions = (("cancel_jobrun", "Can cancel runs"),)
        indexes = (
            models.Index(fields=["job"], name="jobs_run_active", condition=Q(status__in=ACTIVE)),
            models.Index(fields=["not_before"], name="jobs_run_unclaimed", condition=Q(status="queued", instance="")),
            models.Index(fields=["instance"], name="jobs_run_to_cancel", condition=Q(cancel_requested_at__isnull=False, status__in=ACTIVE)),
            models.Index(fields=["-id"], name="jobs_run_bad", condition=Q(status__in=BAD)),
        )
        constraints = (
            models.UniqueConstraint(fields=["job", "scheduled_for", "attempt"], name="jobs_run_one_answer_a_slot"),
            models.CheckConstraint(name="jobs_run_status_known", condition=Q(status__in=Status.values)),
            models.CheckConstraint(name="jobs_run_counts_slots", condition=Q(slots__gte=1, attempt__gte=1)),
            models.CheckConstraint(name="jobs_run_ended_has_time", condition=Q(status__in=ACTIVE) | Q(finished_at__isnull=False)),
            models.CheckConstraint(name="jobs_run_running_has_start", condition=~Q(status="running") | (Q(started_at__isnull=False) & ~Q(instance=""))),
        )

    def __str__(self) -> str:
        return f"{self.job_id} #{self.pk}"

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def lateness(self) -> float | None:
        """Seconds from the slot (of a retry: from `not_before`) to the start."""
        if self.started_at is None:
            return None
        due = self.not_before if self.cause == Cause.RETRY and self.not_before else self.scheduled_for
        return (self.started_at - due).total_seconds()

    @property
    def duration(self) -> float | None:
        """Seconds of work, by a monotonic clock."""
        return self.duration_seconds

    def skip(self, now: datetime, reason: str) -> bool:
        """End an unclaimed run without starting it; False when another process changed it first."""
        return bool(JobRun.objects.filter(pk=self.pk).unclaimed().update(status=Status.SKIPPED, finished_at=now, reason=reason))

    def start(self, now: datetime, instance: str) -> bool:
        """Claim an unclaimed run for `instance`; False when another process changed it first."""
        return bool(JobRun.objects.filter(pk=self.pk).unclaimed().update(status=Status.RUNNING, started_at=now, instance=instance))

    def request_cancel(self, requested_by: str) -> JobRun:
        """Ask for this run to be cancelled; an unclaimed one ends at once.

        Raises RunFinished when it has ended.
        """
        now = database_now()
        reason = f"cancelled by {requested_by}"
        mine = JobRun.objects.filter(pk=self.pk)
        if not mine.unclaimed().update(status=Status.CANCELLED, finished_at=now, reason=reason, cancel_requested_at=now):
            mine.active().update(cancel_requested_at=now, reason=reason)
        run = JobRun.objects.find(self.pk)
        if not run.is_active and run.cancel_requested_at is None:
            raise RunFinished(run.pk, run.status)
        return run
