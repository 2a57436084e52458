"""The filters of the runs list."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.models import Cause, JobRun, Status
from jobs.models.run import ACTIVE, BAD


class StatusFilter(admin.SimpleListFilter):
    """A run's status, or one of two groups of them: problems and runs in progress."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("bad", _("Problems")), ("active", _("In progress")), *Status.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value() or ""
        if value == "bad" or value in BAD:
            queryset = queryset.bad()  # the group has a partial index, a single status has none
        elif value == "active" or value in ACTIVE:
            queryset = queryset.active()
        return queryset.filter(status=value) if value in Status.values else queryset


class CauseFilter(admin.SimpleListFilter):
    title = _("cause")
    parameter_name = "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Cause.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobRun]) -> QuerySet[JobRun]:
        return queryset.filter(cause=self.value()) if self.value() else queryset
