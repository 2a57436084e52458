"""ModelAdmin of runs: a read-only list and a page for each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from jobs.admin.access import require
from jobs.admin.numbers import whole_number
from jobs.admin.run.changelist import RunChangeList
from jobs.admin.run.filters import CauseFilter, StatusFilter
from jobs.admin.run.page import RunPageMixin
from jobs.admin.scheduler_state import scheduler_state
from jobs.models import JobDefinition, JobRun

if TYPE_CHECKING:
    Base = admin.ModelAdmin[JobRun]
else:
    Base = admin.ModelAdmin

HEAVY = ("log", "traceback", "result", "kwargs", "error")


class JobRunAdmin(RunPageMixin, Base):
    list_display = ("run", "status_badge", "slot", "cause", "duration", "instance")
    list_display_links = None
    list_filter = (StatusFilter, CauseFilter)
    list_per_page = 50
    search_fields = ("id",)
    search_help_text = _("Run number, job title or id")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    empty_value_display = "—"
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: JobRun | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: JobRun | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobRun]:
        return super().get_queryset(request).select_related("job").defer(*HEAVY)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RunChangeList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "view_jobrun")
        at = now()
        context = {"title": _("Runs"), "scheduler": scheduler_state(at), "now": at}
        return super().changelist_view(request, context | (extra_context or {}))

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[JobRun], search_term: str) -> tuple[QuerySet[JobRun], bool]:
        """Search by a run's number, or by title or id of a job.  Jobs are few, so they are searched first and the runs by job id."""
        term = search_term.strip().lstrip("#")
        if not term:
            return queryset, False
        if (number := whole_number(term)) is not None:
            return queryset.filter(pk=number), False
        matching = JobDefinition.objects.filter(id__icontains=term) | JobDefinition.objects.filter(title__icontains=term)
        return queryset.filter(job__in=list(matching.values_list("pk", flat=True)[:500])), False

    @admin.display(description=_("run"))
    def run(self, run: JobRun) -> str:
        return _cell("run", run)

    @admin.display(description=_("status"))
    def status_badge(self, run: JobRun) -> str:
        return _cell("run_status", run)

    @admin.display(description=_("scheduled for"))
    def slot(self, run: JobRun) -> str:
        return _cell("run_slot", run)

    @admin.display(description=_("duration"))
    def duration(self, run: JobRun) -> str:
        return _cell("run_duration", run)


def _cell(name: str, run: JobRun) -> str:
    return render_to_string(f"admin/jobs/cells/{name}.html", {"run": run, "now": now()})
