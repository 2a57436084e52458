"""The cells of the jobs list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.template.loader import render_to_string
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from jobs.admin.durations import write_duration
from jobs.admin.job.latest import Latest
from jobs.models import JobDefinition, Trigger
from jobs.models.scheduled import is_overdue

if TYPE_CHECKING:
    Base = admin.ModelAdmin[JobDefinition]
else:
    Base = object


class ColumnsMixin(Base):
    """One template for each column.  `JobChangeList` adds the attributes that are not columns of the row."""

    @admin.display(description=_("job"), ordering="title")
    def job(self, row: JobDefinition) -> str:
        return _cell("job", row, problem=row.problem)

    @admin.display(description=_("schedule"), ordering="interval_seconds")
    def schedule(self, row: JobDefinition) -> str:
        editable = row.trigger == Trigger.INTERVAL and row.archived_at is None and getattr(row, "editable", False)
        return _cell("schedule", row, words=describe_safely(row), interval=write_duration(row.interval_seconds), editable=editable)

    @admin.display(description=_("enabled"), ordering="enabled")
    def switch(self, row: JobDefinition) -> str:
        return _cell("switch", row, editable=getattr(row, "editable", False) and row.archived_at is None)

    @admin.display(description=_("next run"), ordering="scheduled__next_run_time")
    def next_run(self, row: JobDefinition) -> str:
        scheduled, at = getattr(row, "scheduled", None), now()
        next_run_time = scheduled.next_run_time if scheduled else None
        return _cell("next_run", row, next_run_time=next_run_time, paused=row.is_paused(at), overdue=is_overdue(next_run_time, at))

    @admin.display(description=_("last run"))
    def last_run(self, row: JobDefinition) -> str:
        latest = _latest(row)
        return _cell("last_run", row, run=latest.runs[0] if latest.runs else None, slot=latest.slot)

    @admin.display(description=_("last 30 runs"))
    def strip(self, row: JobDefinition) -> str:
        return _cell("strip", row, runs=_latest(row).runs)

    @admin.display(description=_("changed by"), ordering="updated_at")
    def changed_by(self, row: JobDefinition) -> str:
        return _cell("changed_by", row, latest=_latest(row))


def _cell(name: str, row: JobDefinition, **context: Any) -> str:
    return render_to_string(f"admin/jobs/cells/{name}.html", {"row": row, **context})


def _latest(row: JobDefinition) -> Latest:
    return getattr(row, "latest", Latest())


def describe_safely(row: JobDefinition) -> str:
    """The schedule in words; for a damaged row, the problem."""
    return (row.problem if row.trigger == Trigger.CRON else None) or row.schedule.describe()
