"""The columns that decide when a job fires, and the `Schedule` made of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jobs.models.fields import WholeNumberField
from jobs.schedule.gaps import shortest_gap
from jobs.schedule.kinds import MAX_INTERVAL_SECONDS, Trigger
from jobs.schedule.schedule import Schedule
from jobs.schedule.triggers import TICK
from jobs.schedule.validators import cron_problem, validate_moment, validate_timezone

SCHEDULE_FIELDS = frozenset(
    {"trigger", "interval_seconds", "cron", "run_at", "timezone", "starts_at", "ends_at", "jitter_seconds", "enabled", "paused_until", "archived_at"}
)
"""A change of one of these moves slots; a change of another field never does."""


class ScheduleColumns(models.Model):
    """When a job fires.  Every rule about these columns alone lives here."""

    trigger = models.CharField(_("trigger"), max_length=10, choices=Trigger, default=Trigger.INTERVAL)
    interval_seconds = WholeNumberField(
        _("interval"),
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_INTERVAL_SECONDS)],
        help_text=_("Seconds between two runs, 1 to 31,622,400; 0 takes the job off the schedule."),
    )
    cron = models.CharField(_("cron expression"), max_length=255, blank=True, help_text=_("Five fields as in cron, or @hourly, @daily, @weekly, …"))
    run_at = models.DateTimeField(_("run at"), null=True, blank=True, validators=[validate_moment])
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[validate_timezone])
    starts_at = models.DateTimeField(_("not before"), null=True, blank=True, validators=[validate_moment])
    ends_at = models.DateTimeField(_("not after"), null=True, blank=True, validators=[validate_moment])
    jitter_seconds = WholeNumberField(
        _("jitter"),
        default=0,
        validators=[MaxValueValidator(86_400)],
        help_text=_("Delays each start by up to this long (always the same for a given time), so that jobs do not all start at once."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True, validators=[validate_moment])
    archived_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    scheduled_from = models.DateTimeField(default=now, editable=False)
    """When the schedule last changed: slots up to here belong to the schedule before."""

    _stored_spread: tuple[Any, ...] | None = None
    """Rows of earlier versions may have more jitter than is allowed now, and keep it until it is edited itself."""

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **more: Any) -> Self:
        row = super().from_db(db, field_names, values, **more)
        row._stored_spread = row._spread()
        return row

    def _spread(self) -> tuple[Any, ...]:
        """What bounds the jitter; read past deferred columns."""
        return tuple(self.__dict__.get(name) for name in ("trigger", "cron", "jitter_seconds"))

    @property
    def is_registered(self) -> bool:
        """Whether the store should have an entry: an archived job and an interval of 0 have none."""
        return self.archived_at is None and not (self.trigger == Trigger.INTERVAL and self.interval_seconds == 0)

    @property
    def anchor(self) -> datetime:
        """Slot 0 of an interval."""
        return self.starts_at or self.created_at

    @property
    def schedule(self) -> Schedule:
        """The schedule as the row states it; slots that passed before its last change are not part of it."""
        since, pause = self.scheduled_from, self.paused_until
        return Schedule(
            job_id=self.pk,
            trigger=self.trigger,
            interval_seconds=self.interval_seconds,
            cron=self.cron,
            run_at=self.run_at,
            timezone=self.timezone,
            anchor=self.anchor,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            jitter_seconds=self.jitter_seconds,
            fires_after=pause - TICK if pause is not None and pause > since else since,
            enabled=self.enabled and self.is_registered,
        )

    def is_paused(self, now: datetime) -> bool:
        return self.paused_until is not None and self.paused_until > now

    def has_schedule_of(self, other: object) -> bool:
        """Whether another definition, or a record of the history, has the same slots."""
        return all(getattr(self, name) == getattr(other, name) for name in (*SCHEDULE_FIELDS, "created_at"))

    def schedule_problems(self) -> dict[str, str]:
        """What is wrong with these columns together, by field."""
        problems: dict[str, str] = {}
        if self.trigger == Trigger.CRON and (problem := cron_problem(self.cron)):
            problems["cron"] = problem
        if self.trigger == Trigger.ONCE and self.run_at is None:
            problems["run_at"] = gettext("A job that runs once needs a time.")
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            problems["ends_at"] = gettext("The end must be later than the start.")
        if self.trigger == Trigger.INTERVAL and self.jitter_seconds and self.jitter_seconds >= max(self.interval_seconds, 1):
            problems["jitter_seconds"] = gettext("The jitter must be shorter than the interval.")
        if self.trigger == Trigger.CRON and self.jitter_seconds and "cron" not in problems and self._spread() != self._stored_spread:
            gap = shortest_gap(self.cron)
            if gap is not None and timedelta(seconds=self.jitter_seconds) >= gap:
                problems["jitter_seconds"] = gettext("The jitter must be shorter than the shortest time between two runs, %(seconds)d s.") % {
                    "seconds": gap.total_seconds()
                }
        return problems
