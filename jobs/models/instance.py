"""Scheduler instances: the scheduler processes, each with the time of its last heartbeat."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models.readable import ReadableModel, ReadableQuerySet

ALIVE_FOR = timedelta(seconds=10)
"""An instance is alive while its last heartbeat, and running while its last completed tick, is no older than this."""


def _ticked_recently(now: datetime) -> models.Q:
    return models.Q(last_tick_at__range=(now - ALIVE_FOR, now + ALIVE_FOR), stopping=False)


class SchedulerInstanceQuerySet(ReadableQuerySet["SchedulerInstance"]):
    def running(self, now: datetime) -> SchedulerInstanceQuerySet:
        """Instances that completed a tick recently."""
        return self.filter(_ticked_recently(now))

    def with_running(self, now: datetime) -> models.QuerySet[Any]:
        """All instances, each with `is_running`: whether it is one of `running`."""
        return self.annotate(is_running=models.ExpressionWrapper(_ticked_recently(now), models.BooleanField()))

    def failing(self, now: datetime) -> SchedulerInstanceQuerySet:
        """Instances whose heartbeat goes on while no tick completes."""
        limits = (now - ALIVE_FOR, now + ALIVE_FOR)
        return self.filter(heartbeat_at__range=limits, last_tick_at__isnull=False, stopping=False).exclude(last_tick_at__range=limits)

    def silent(self, now: datetime) -> SchedulerInstanceQuerySet:
        """Instances whose heartbeat has stopped.

        A heartbeat in the future was written before the clock was set back; a live instance has written another since.
        """
        return self.exclude(heartbeat_at__range=(now - ALIVE_FOR, now + ALIVE_FOR))


class SchedulerInstance(ReadableModel):
    """One scheduler process.  The row lives from its first tick to its clean end, or until it is reaped."""

    id = models.CharField(max_length=100, primary_key=True)
    hostname = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=50)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(db_index=True)
    last_tick_at = models.DateTimeField(null=True)
    stopping = models.BooleanField(default=False)
    runs_active = models.PositiveIntegerField(default=0)
    runs_finished = models.PositiveBigIntegerField(default=0)
    threads = models.PositiveIntegerField(default=0)
    threads_stuck = models.PositiveIntegerField(default=0)
    workers = models.PositiveIntegerField(default=0)
    """Worker processes that may get new runs; 0 for a scheduler that executes job functions in its own process."""
    problem = models.TextField(default="", blank=True)
    """What keeps this instance from doing its work, in words."""

    objects = SchedulerInstanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("scheduler")
        verbose_name_plural = _("schedulers")

    def __str__(self) -> str:
        return self.id
