"""The cells of the jobs list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.template.loader import render_to_string
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from jobs.durations import write_duration
from jobs.models import JobDefinition, JobRun, Trigger
from jobs.triggers import describe

if TYPE_CHECKING:
    Base = admin.ModelAdmin[JobDefinition]
else:
    Base = object


class ColumnsMixin(Base):
    """Each column is one small template; `JobChangeList` has put the recent runs on the rows."""

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
        moment = now()
        scheduled = getattr(row, "scheduled", None)
        return _cell("next_run", row, moment=scheduled and scheduled.next_run_time, now=moment, paused=row.is_paused(moment))

    @admin.display(description=_("last run"))
    def last_run(self, row: JobDefinition) -> str:
        runs = _runs(row)
        return _cell("last_run", row, run=runs[0] if runs else None, now=now())

    @admin.display(description=_("last 30 runs"))
    def strip(self, row: JobDefinition) -> str:
        return _cell("strip", row, runs=_runs(row))

    @admin.display(description=_("changed by"), ordering="updated_at")
    def changed_by(self, row: JobDefinition) -> str:
        return _cell("changed_by", row, author=getattr(row, "changed_by", ""), source=getattr(row, "changed_from", ""), now=now())


def _cell(name: str, row: JobDefinition, **context: Any) -> str:
    return render_to_string(f"admin/jobs/cells/{name}.html", {"row": row, **context})


def _runs(row: JobDefinition) -> list[JobRun]:
    return getattr(row, "recent", [])


def describe_safely(row: JobDefinition) -> str:
    """The schedule in words; of a row damaged by hand, what is wrong with it."""
    return row.problem or describe(row) if row.trigger == Trigger.CRON else describe(row)
