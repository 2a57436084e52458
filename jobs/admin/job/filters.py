"""The filters of the jobs list and the runs list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from jobs.admin.job.latest import newest_first
from jobs.models import Cause, JobDefinition, JobRun, Status
from jobs.models.run import ACTIVE, BAD


class StateFilter(admin.SimpleListFilter):
    """Archived jobs are out of the way unless somebody asks for them."""

    title = _("state")
    parameter_name = "state"
    choices_of_state: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "on": (_("on the schedule"), lambda jobs: jobs.current().filter(enabled=True, scheduled__next_run_time__isnull=False)),
        "off": (_("switched off"), lambda jobs: jobs.current().filter(enabled=False)),
        "paused": (_("paused"), lambda jobs: jobs.current().filter(paused_until__gt=now())),
        "overdue": (_("overdue"), lambda jobs: jobs.current().overdue(now())),
        "archived": (_("archived"), lambda jobs: jobs.filter(archived_at__isnull=False)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, label) for value, (label, _narrow) in self.choices_of_state.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        _label, narrow = self.choices_of_state.get(self.value() or "", (None, lambda jobs: jobs.current()))
        return narrow(queryset)


class TriggerFilter(admin.ChoicesFieldListFilter):
    """By what a job is started."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("trigger")


class LastRunFilter(admin.SimpleListFilter):
    """What became of a job's last run."""

    title = _("last run")
    parameter_name = "last_run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*Status.choices, ("none", _("never ran"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobDefinition]) -> QuerySet[JobDefinition]:
        if not self.value():
            return queryset
        annotated = queryset.annotate(last_status=Subquery(newest_first(OuterRef("pk")).values("status")[:1]))
        return annotated.filter(last_status__isnull=True) if self.value() == "none" else annotated.filter(last_status=self.value())


class OverriddenFilter(admin.SimpleListFilter):
    """Whether staff have changed what the code asks for."""

    title = _("defaults")
    parameter_name = "overridden"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("changed by staff")), ("no", _("as in the code"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobDefinition]) -> QuerySet[JobDefinition]:
        match self.value():
            case "yes":
                return queryset.exclude(overridden=[])
            case "no":
                return queryset.filter(overridden=[])
        return queryset


class RunStatusFilter(admin.SimpleListFilter):
    """A run's status; "went wrong" is all the bad ones, which have an index of their own."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("bad", _("went wrong")), ("active", _("not ended")), *Status.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value() or ""
        if value == "bad" or value in BAD:
            queryset = queryset.bad()  # the group has an index, and a single status of it has none
        elif value == "active" or value in ACTIVE:
            queryset = queryset.active()
        return queryset.filter(status=value) if value in Status.values else queryset


class CauseFilter(admin.SimpleListFilter):
    """Why a run came to be."""

    title = _("cause")
    parameter_name = "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Cause.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobRun]) -> QuerySet[JobRun]:
        return queryset.filter(cause=self.value()) if self.value() else queryset
