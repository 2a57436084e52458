"""Edits without a page of their own: interval and switch in the jobs list, and resetting a field to its default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from jobs.admin.access import author_of, require
from jobs.admin.forms import Conflict, DurationField
from jobs.admin.job.actions import find_or_404
from jobs.admin.job.confirmation import confirm_change
from jobs.admin.job.history import changes_between
from jobs.admin.numbers import expected_revision
from jobs.exceptions import RevisionMismatch
from jobs.models import JobDefinition

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Base = ModelAdmin[JobDefinition]
else:
    Base = object

log = structlog.get_logger()


class InlineEditMixin(Base):
    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path("<slug:job_id>/inline-edit/", site.admin_view(self.inline_edit_view), name="jobs_jobdefinition_inline_edit"),
            path("<slug:job_id>/reset/<slug:field>/", site.admin_view(self.reset_view), name="jobs_jobdefinition_reset"),
            *super().get_urls(),
        ]

    def inline_edit_view(self, request: HttpRequest, job_id: str) -> HttpResponse:
        """Set `enabled` if the row's form sends it, else the interval."""
        return self._edit(request, job_id, lambda definition: _inline_edit(request, definition))

    def reset_view(self, request: HttpRequest, job_id: str, field: str) -> HttpResponse:
        """Reset one field to the value that the code sets."""
        return self._edit(request, job_id, lambda definition: definition.reset_to_default(field, author_of(request), _expected_revision(request)))

    def _edit(self, request: HttpRequest, job_id: str, edit: Any) -> HttpResponse:
        require(request, "change_jobdefinition")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        definition = find_or_404(job_id)
        try:
            changed = edit(definition)
        except ValidationError as error:
            messages.error(request, f"{definition}: {' '.join(error.messages)}")
        except RevisionMismatch as error:
            messages.error(request, _conflict_text(find_or_404(job_id), error.expected[0]))
        else:
            log.info("job_changed", job=job_id, change="edit", person=request.user.get_username(), source="admin")
            confirm_change(request, job_id, _("%(job)s saved.") % {"job": changed})
        return HttpResponseRedirect(_return_url(request))


def _inline_edit(request: HttpRequest, definition: JobDefinition) -> JobDefinition:
    changes: dict[str, Any] = {}
    if "enabled" in request.POST:
        changes["enabled"] = request.POST["enabled"] == "on"
    else:
        changes["interval_seconds"] = DurationField(empty_value=0).clean(request.POST.get("interval", ""))
    return definition.edit(author_of(request), _expected_revision(request), **changes)


def _expected_revision(request: HttpRequest) -> int | None:
    """The revision that the page was rendered from."""
    return expected_revision(request.POST.get("expected_revision", ""))


def _conflict_text(definition: JobDefinition, revision: int) -> str:
    """Who changed which fields since `revision`."""
    conflict = Conflict.since(definition, revision)
    changes = changes_between(conflict.before, definition) if conflict and conflict.before else []
    author = (conflict.authors if conflict else "") or _("Another user")
    text = _("%(author)s changed %(job)s. Your change is not saved: check theirs and try again.") % {"author": author, "job": definition}
    return " ".join([text, *(f"{change.label}: {change.before} → {change.after}." for change in changes)])


def _return_url(request: HttpRequest) -> str:
    """The page that the form was on, with its filters."""
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return target if safe else reverse("admin:jobs_jobdefinition_changelist")
