"""A run's page, its updates while the run is active, and the actions on it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.db.models.functions import Substr
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _

from jobs.admin.access import author_of, may, require
from jobs.admin.durations import show_duration
from jobs.admin.numbers import whole_number
from jobs.admin.run.progress import Progress
from jobs.exceptions import JobsError, RunNotFound
from jobs.models import JobRun

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Base = ModelAdmin[JobRun]
else:
    Base = object

log = structlog.get_logger()
LOG_APPENDED_UP_TO = 30_000
"""Up to this many characters a log only grows at its end; a longer one loses its middle."""


class RunPageMixin(Base):
    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path("<int:run_id>/follow/", site.admin_view(self.follow_view), name="jobs_jobrun_follow"),
            path("<int:run_id>/cancel/", site.admin_view(self.cancel_view), name="jobs_jobrun_cancel"),
            path("<int:run_id>/again/", site.admin_view(self.again_view), name="jobs_jobrun_again"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "view_jobrun")
        run = _find_or_404(object_id)
        at = now()
        context = self.admin_site.each_context(request) | {
            "title": _("Run #%(id)d") % {"id": run.pk},
            "subtitle": str(run.job),
            "opts": self.opts,
            "run": run,
            "now": at,
            "progress": Progress.of(run),
            "duration": _elapsed(run, at),
            "attempts": _attempts(run),
            "arguments": _pretty(run.kwargs if run.kwargs is not None else run.job.kwargs),
            "own_arguments": run.kwargs is not None,
            "result": _pretty(run.result),
            "waits_for_scheduler": run.is_active and not run.instance,
            "may_cancel": run.is_active and may(request, "cancel_jobrun"),
            "may_repeat": run.job.archived_at is None and may(request, "run_jobdefinition"),
        }
        return TemplateResponse(request, "admin/jobs/jobrun/run.html", context)

    def follow_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Status, progress and the log from character `log_from` on, as JSON."""
        require(request, "view_jobrun")
        sent = whole_number(request.GET.get("log_from", "0"))
        # The middle of a long log changes, so a long log is sent whole.
        start = sent if sent is not None and sent < LOG_APPENDED_UP_TO else 0
        run: Any = JobRun.objects.filter(pk=run_id).annotate(tail=Substr("log", start + 1)).defer("log", "traceback", "result", "kwargs").first()
        if run is None:
            raise Http404
        progress = Progress.of(run)
        answer = {
            "status": run.status,
            "label": run.get_status_display(),
            "active": run.is_active,
            "duration": show_duration(_elapsed(run, now())),
            "log_from": start,
            "log_to": start + len(run.tail),
            "log": run.tail,
            "progress": {"percent": progress.percent, "text": progress.summary} if progress else None,
        }
        return JsonResponse(answer)

    def cancel_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        require(request, "cancel_jobrun")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        run = _find_or_404(run_id)
        try:
            cancelled = run.request_cancel(request.user.get_username())
        except JobsError as error:
            messages.error(request, str(error))
        else:
            log.info("job_run_cancel_requested", job=run.job_id, run_id=run.pk, person=request.user.get_username(), source="admin")
            messages.success(request, _("Cancellation requested.") if cancelled.is_active else _("Cancelled."))
        return _redirect_to(run)

    def again_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Request another run of the same job with the same arguments."""
        require(request, "run_jobdefinition")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        run = _find_or_404(run_id)
        try:
            repeated = run.job.request_run(author_of(request), run.kwargs)
        except (JobsError, ValidationError) as error:
            messages.error(request, "; ".join(getattr(error, "messages", [str(error)])))
            return _redirect_to(run)
        messages.success(request, _("Run requested."))
        return _redirect_to(repeated)


def _elapsed(run: JobRun, now: datetime) -> float | None:
    """Seconds that the run took, or has taken so far."""
    if run.duration is not None or run.started_at is None:
        return run.duration
    return (now - run.started_at).total_seconds() if run.is_active else None


def _find_or_404(run_id: Any) -> JobRun:
    try:
        return JobRun.objects.find(int(run_id))
    except (RunNotFound, ValueError):
        raise Http404(_("There is no run with this number. Old runs are deleted.")) from None


def _redirect_to(run: JobRun) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:jobs_jobrun_change", args=[run.pk]))


def _attempts(run: JobRun) -> QuerySet[JobRun]:
    """All attempts of the run's slot."""
    return JobRun.objects.filter(job=run.job_id, scheduled_for=run.scheduled_for).order_by("attempt").only("attempt", "status", "started_at", "duration_seconds")


def _pretty(value: Any) -> str:
    if value in (None, {}):
        return ""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    except RecursionError:  # stored at a SQL prompt, or by an earlier version
        return _("It is nested too deeply to be shown.")
