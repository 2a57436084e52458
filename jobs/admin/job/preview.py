"""Preview of a schedule that is being edited."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.timezone import get_current_timezone_name, now

from jobs.admin.access import require
from jobs.admin.forms import JobForm, ScheduleForm, job_form
from jobs.models import JobDefinition, ScheduledJob, Trigger

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Base = ModelAdmin[JobDefinition]
else:
    Base = object

SHOWN_TIMES = 5
DAY = timedelta(days=1)
DST_HORIZON = timedelta(days=45)
MANY_JOBS = 10
"""This many other jobs at the same second cause a warning."""


class PreviewMixin(Base):
    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path("preview/", site.admin_view(self.preview_view), name="jobs_jobdefinition_preview"),
            path("arguments/", site.admin_view(self.arguments_view), name="jobs_jobdefinition_arguments"),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The schedule in the query string: description, next fire times and warnings."""
        require(request, "view_jobdefinition")
        stored = JobDefinition.objects.filter(pk=request.GET.get("job", "")).first()
        form = ScheduleForm(request.GET, instance=stored or JobDefinition(pk=request.GET.get("id") or "new"))
        context: dict[str, Any] = {"errors": {form.fields[name].label if name in form.fields else "": found for name, found in form.errors.items()}}
        if form.is_valid():
            form.instance.enabled, form.instance.paused_until = True, None
            context |= preview(form.instance, viewer_zone(request), now())
        return TemplateResponse(request, "admin/jobs/jobdefinition/preview.html", context)

    def arguments_view(self, request: HttpRequest) -> HttpResponse:
        """The argument fields of the function in the query string."""
        require(request, "view_jobdefinition")
        form: JobForm = job_form(request.GET.get("function", ""), {})()
        return TemplateResponse(request, "admin/jobs/jobdefinition/arguments.html", {"fields": [form[name] for name in form.arguments]})


def viewer_zone(request: HttpRequest) -> ZoneInfo:
    """The browser's time zone, or the site's if the browser sends none."""
    try:
        return ZoneInfo(request.GET.get("viewer_zone", ""))
    except (KeyError, ValueError, OSError):
        return ZoneInfo(get_current_timezone_name())


def preview(definition: JobDefinition, viewer: ZoneInfo, now: datetime) -> dict[str, Any]:
    zone = ZoneInfo(definition.timezone)
    times = definition.schedule.upcoming(now, SHOWN_TIMES)
    return {
        "words": definition.schedule.describe(),
        "times": [{"utc": time, "job": time.astimezone(zone), "viewer": time.astimezone(viewer)} for time in times],
        "job_zone": zone.key,
        "viewer_zone": viewer.key,
        "clock_changes": clock_changes(definition, zone, now) if definition.trigger == Trigger.CRON else [],
        "simultaneous": simultaneous_jobs(definition, times[0]) if times else 0,
        "now": now,
    }


def simultaneous_jobs(definition: JobDefinition, at: datetime) -> int:
    """The number of other jobs that fire in the same second; 0 below `MANY_JOBS`."""
    second = at.replace(microsecond=0)
    others = ScheduledJob.objects.filter(next_run_time__gte=second, next_run_time__lt=second + timedelta(seconds=1)).exclude(pk=definition.pk).count()
    return others if others >= MANY_JOBS else 0


def clock_changes(definition: JobDefinition, zone: ZoneInfo, now: datetime) -> list[dict[str, Any]]:
    """The next two days with a clock change in the zone, and when the job fires on them; empty if the first is not near."""
    today = now.astimezone(zone).date()
    days = [today + n * DAY for n in range(366) if _length(today + n * DAY, zone) != DAY][:2]
    if not days or days[0] - today > DST_HORIZON:
        return []
    return [{"day": day, "forward": _length(day, zone) < DAY, "times": _times_on(definition, day, zone)} for day in days]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _length(day: date, zone: ZoneInfo) -> timedelta:
    return _midnight(day + DAY, zone) - _midnight(day, zone)


def _times_on(definition: JobDefinition, day: date, zone: ZoneInfo) -> list[datetime]:
    start, end = _midnight(day, zone), _midnight(day + DAY, zone)
    return [time.astimezone(zone) for time in definition.schedule.upcoming(start - timedelta(microseconds=1), 7) if time < end]
