"""The filters of the jobs list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from jobs.models import JobDefinition, JobRun, Status


class StateFilter(admin.SimpleListFilter):
    """Hides archived jobs unless they are chosen."""

    title = _("state")
    parameter_name = "state"
    choices_of_state: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "on": (_("scheduled"), lambda jobs: jobs.current().filter(enabled=True, scheduled__next_run_time__isnull=False)),
        "off": (_("switched off"), lambda jobs: jobs.current().filter(enabled=False)),
        "paused": (_("paused"), lambda jobs: jobs.current().filter(paused_until__gt=now())),
        "overdue": (_("overdue"), lambda jobs: jobs.current().overdue(now())),
        "archived": (_("archived"), lambda jobs: jobs.filter(archived_at__isnull=False)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, label) for value, (label, _select) in self.choices_of_state.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        _label, select = self.choices_of_state.get(self.value() or "", (None, lambda jobs: jobs.current()))
        return select(queryset)


class LastRunFilter(admin.SimpleListFilter):
    """The status of a job's newest run."""

    title = _("last run")
    parameter_name = "last_run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*Status.choices, ("none", _("never ran"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobDefinition]) -> QuerySet[JobDefinition]:
        if not self.value():
            return queryset
        annotated = queryset.annotate(last_status=Subquery(JobRun.objects.filter(job=OuterRef("pk")).newest_first().values("status")[:1]))
        return annotated.filter(last_status__isnull=True) if self.value() == "none" else annotated.filter(last_status=self.value())


class OriginFilter(admin.SimpleListFilter):
    """Whether staff have changed a value that the code sets."""

    title = _("origin")
    parameter_name = "overridden"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("customised")), ("no", _("default"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobDefinition]) -> QuerySet[JobDefinition]:
        match self.value():
            case "yes":
                return queryset.exclude(overridden=[])
            case "no":
                return queryset.filter(overridden=[])
        return queryset
