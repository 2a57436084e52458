"""A job's history: each change with its author, source and reason, and a way to restore a revision."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import structlog
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from jobs.admin.access import author_of, may, require
from jobs.admin.forms import FIELDS
from jobs.admin.job.actions import find_or_404
from jobs.admin.job.confirmation import confirm_change
from jobs.admin.job.page import job_context
from jobs.admin.numbers import expected_revision
from jobs.admin.wording import label_of, show_value
from jobs.exceptions import RevisionMismatch
from jobs.models import JobDefinition

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Base = ModelAdmin[JobDefinition]
else:
    Base = object

log = structlog.get_logger()
REVERTED = (*FIELDS, "kwargs")
"""The fields that a revert sets.  Pausing and archiving have verbs of their own."""
TRACKED = (*REVERTED, "paused_until", "pause_reason", "archived_at")
PAGE_SIZE = 25


@dataclass(frozen=True, slots=True)
class Change:
    label: str
    before: str
    after: str


def changes_between(before: Any, after: Any) -> list[Change]:
    """The tracked fields that differ, with labels and values as text."""
    return [
        Change(label_of(name), show_value(name, getattr(before, name)), show_value(name, getattr(after, name)))
        for name in TRACKED
        if getattr(before, name) != getattr(after, name)
    ]


class HistoryMixin(Base):
    def get_urls(self) -> list[URLPattern]:
        revert = path("<slug:job_id>/revert/<int:revision>/", self.admin_site.admin_view(self.revert_view), name="jobs_jobdefinition_revert")
        return [revert, *super().get_urls()]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "view_jobdefinition")
        definition = find_or_404(object_id)
        page = Paginator(definition.history.order_by("-history_id"), PAGE_SIZE).get_page(request.GET.get("p"))
        records = list(page.object_list)
        following = list(definition.history.filter(history_id__lt=records[-1].history_id).order_by("-history_id")[:1]) if records else []
        entries = [{"record": record, "changes": changes_between(older, record)} for record, older in pairwise([*records, *following])]
        if records and not following:
            entries.append({"record": records[-1], "changes": [], "first": True})
        context = self.admin_site.each_context(request) | job_context(request, object_id, now())
        context |= {"title": pgettext("of a job", "History"), "subtitle": str(definition), "opts": self.opts, "page": page, "entries": entries, "original": definition}
        context["can_revert"] = may(request, "change_jobdefinition")
        return TemplateResponse(request, "admin/jobs/jobdefinition/history.html", context)

    def revert_view(self, request: HttpRequest, job_id: str, revision: int) -> HttpResponse:
        """Restore the values of `revision` as a new revision."""
        require(request, "change_jobdefinition")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        definition = find_or_404(job_id)
        record = definition.history.filter(revision=revision).first()
        if record is None:
            raise Http404(_("The history has no revision %(revision)d.") % {"revision": revision})
        self._revert(request, definition, record)
        return HttpResponseRedirect(reverse("admin:jobs_jobdefinition_history", args=[job_id]))

    def _revert(self, request: HttpRequest, definition: JobDefinition, record: Any) -> None:
        changes = {name: getattr(record, name) for name in REVERTED if getattr(record, name) != getattr(definition, name)}
        expected = expected_revision(request.POST.get("expected_revision", ""))
        reason = request.POST.get("reason", "") or _("restored revision %(revision)d") % {"revision": record.revision}
        try:
            definition.edit(author_of(request), expected_revision=expected, reason=reason, **changes)
        except RevisionMismatch:
            messages.error(request, _("Another user changed the job. Check the newest revision and try again."))
        except ValidationError as error:
            messages.error(request, _("This revision cannot be restored: %(reason)s") % {"reason": " ".join(error.messages)})
        else:
            log.info("job_changed", job=definition.pk, change="revert", revision=record.revision, person=request.user.get_username(), source="admin")
            confirm_change(request, definition.pk, _("Revision %(revision)d restored.") % {"revision": record.revision})

    def read_only_view(self, request: HttpRequest, definition: JobDefinition) -> HttpResponse:
        """The page of a user with view permission only."""
        values = [(label_of(name), show_value(name, getattr(definition, name))) for name in REVERTED]
        context = self.admin_site.each_context(request) | job_context(request, definition.pk, now())
        context |= {"title": str(definition), "opts": self.opts, "values": values, "original": definition}
        return TemplateResponse(request, "admin/jobs/jobdefinition/read_only.html", context)
