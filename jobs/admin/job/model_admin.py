"""ModelAdmin of jobs: the list and the form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.admin.access import author_of, may
from jobs.admin.forms import FAILURE, FIELDS, LATENESS, RETENTION, SCHEDULE, JobForm, job_form
from jobs.admin.forms.arguments import argument_fields
from jobs.admin.job.actions import ActionsMixin, find_or_404
from jobs.admin.job.changelist import JobChangeList
from jobs.admin.job.columns import ColumnsMixin
from jobs.admin.job.confirmation import confirm_change
from jobs.admin.job.filters import LastRunFilter, OriginFilter, StateFilter
from jobs.admin.job.history import HistoryMixin
from jobs.admin.job.inline_edit import InlineEditMixin
from jobs.admin.job.page import job_context
from jobs.admin.job.preview import PreviewMixin
from jobs.exceptions import RevisionMismatch
from jobs.models import JobDefinition

if TYPE_CHECKING:
    Base = admin.ModelAdmin[JobDefinition]
else:
    Base = admin.ModelAdmin

log = structlog.get_logger()


class JobDefinitionAdmin(ActionsMixin, InlineEditMixin, PreviewMixin, HistoryMixin, ColumnsMixin, Base):
    list_display = ("job", "schedule", "switch", "next_run", "last_run", "strip", "changed_by")
    list_display_links = None
    list_filter = (StateFilter, LastRunFilter, "trigger", OriginFilter)
    list_per_page = 50
    list_max_show_all = 200
    search_fields = ("id", "title", "function")
    search_help_text = gettext_lazy("Title, id or function")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobDefinition]:
        return super().get_queryset(request).select_related("scheduled").defer("scheduled__job_state")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobChangeList

    def has_delete_permission(self, request: HttpRequest, obj: JobDefinition | None = None) -> bool:
        return False  # a job is archived instead, which keeps its history

    def get_form(self, request: HttpRequest, obj: JobDefinition | None = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 -- Django's signature
        return super().get_form(request, obj, change=change, **kwargs | {"form": job_form(*_function_and_kwargs(request, obj))})

    def get_fieldsets(self, request: HttpRequest, obj: JobDefinition | None = None) -> Any:
        arguments = list(argument_fields(*_function_and_kwargs(request, obj)))
        return [
            (None, {"fields": ["title", "function", "enabled"] if obj else ["id", "title", "function", "enabled"]}),
            (_("Schedule"), {"fields": list(SCHEDULE), "classes": ["vs-schedule"]}),
            (_("Arguments"), {"fields": arguments, "classes": ["vs-arguments"]}),
            (_("Late and overlapping runs"), {"fields": list(LATENESS)}),
            (_("Failed runs"), {"fields": list(FAILURE)}),
            (_("Run history"), {"fields": list(RETENTION)}),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {name: request.GET[name] for name in FIELDS if name in request.GET}

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        context = (extra_context or {}) | job_context(request, object_id, now())
        try:
            response = super().changeform_view(request, object_id, form_url, context)
        except RevisionMismatch:  # another save came between: validate again, now against that change
            response = super().changeform_view(request, object_id, form_url, context)
        if saved := request.META.pop("jobs.saved", None):
            confirm_change(request, saved, _("Saved."))  # after the commit, because a scheduler sees only committed rows
        return response

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:  # noqa: FBT001 -- Django's signature
        return form.instance

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Nothing to do: `save_model` saves everything in one call."""

    def save_model(self, request: HttpRequest, obj: JobDefinition, form: JobForm, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        reason = form.cleaned_data["reason"]
        changes = form.changes()
        if change and not changes:
            messages.info(request, _("No changes."))
            return
        if change:
            obj.edit(author_of(request), expected_revision=obj.revision, reason=reason, **changes)
        else:
            values = {name: form.cleaned_data[name] for name in FIELDS}
            JobDefinition.objects.add(author_of(request), reason, id=form.cleaned_data["id"], kwargs=obj.kwargs, **values)
        request.META["jobs.saved"] = obj.pk
        log.info("job_changed", job=obj.pk, change="edit" if change else "add", fields=sorted(changes), person=request.user.get_username(), source="admin")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Not needed: the job has a history of its own."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Not needed: the job has a history of its own."""

    def response_change(self, request: HttpRequest, obj: JobDefinition) -> HttpResponse:
        return _redirect_to(obj)

    def response_add(self, request: HttpRequest, obj: JobDefinition, post_url_continue: str | None = None) -> HttpResponse:
        return _redirect_to(obj)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "POST" and not may(request, "change_jobdefinition") and may(request, "view_jobdefinition"):
            return self.read_only_view(request, find_or_404(object_id))
        return super().change_view(request, object_id, form_url, extra_context)


def _function_and_kwargs(request: HttpRequest, obj: JobDefinition | None) -> tuple[str, Any]:
    """The chosen function, and the stored arguments if they belong to it."""
    function = request.POST.get("function") or request.GET.get("function") or (obj.function if obj else "")
    return function, obj.kwargs if obj and obj.function == function else {}


def _redirect_to(definition: JobDefinition) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:jobs_jobdefinition_change", args=[definition.pk]))
