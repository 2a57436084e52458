"""Scheduled jobs: the rows of django-apscheduler's store, as the rest of the project reads them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

from jobs.models.readable import ReadableModel, ReadableQuerySet

OVERDUE_AFTER = timedelta(seconds=10)


def is_overdue(next_run_time: datetime | None, now: datetime) -> bool:
    """Whether a scheduler should have claimed the slot long ago.  `JobDefinition.objects.overdue` is the same rule in SQL."""
    return next_run_time is not None and next_run_time < now - OVERDUE_AFTER


class ScheduledJobQuerySet(ReadableQuerySet["ScheduledJob"]):
    """Entries of the store, also damaged ones."""


class ScheduledJob(ReadableModel):
    """A job's entry in the store: when it fires next, and the plan that was applied to it.

    An unmanaged view of django-apscheduler's own table, so that the web side can join it without importing
    the store.  Only a scheduler writes it.  A job that is paused, disabled or manual has no `next_run_time`.
    """

    job = models.OneToOneField("jobs.JobDefinition", models.DO_NOTHING, primary_key=True, db_column="id", db_constraint=False, related_name="scheduled")
    next_run_time = models.DateTimeField(null=True)
    job_state = models.BinaryField()

    objects = ScheduledJobQuerySet.as_manager()

    class Meta:
        managed = False
        base_manager_name = "objects"
        db_table = "django_apscheduler_djangojob"

    def __str__(self) -> str:
        return self.job_id
