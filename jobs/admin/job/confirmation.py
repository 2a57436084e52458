"""The message after a change: which scheduler applied it, how soon, and when the job runs next."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext as _

from jobs.admin.durations import show_duration
from jobs.clock import database_now
from jobs.models import JobDefinition, SchedulerInstance

WAIT_SECONDS = 1.0
POLL_SECONDS = 0.02


def confirm_change(request: HttpRequest, job_id: str, done: str) -> None:
    """Add a message that says `done` and when a scheduler applied the change.  Call it after the commit."""
    if not SchedulerInstance.objects.running(database_now()).exists():
        text = _("No scheduler is running. The change takes effect when you start one with “manage.py runscheduler”.")
        messages.warning(request, f"{done} {text}")
        return
    definition = _wait_until_applied(job_id)
    if definition is None:
        text = _("No scheduler has applied it within a second. The jobs list shows when one does.")
        messages.warning(request, f"{done} {text}")
        return
    messages.success(request, f"{done} {_applied_text(definition)}")


def _wait_until_applied(job_id: str) -> JobDefinition | None:
    """The definition once a scheduler has applied it, or None after `WAIT_SECONDS`."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        definition = JobDefinition.objects.select_related("scheduled").find(job_id)
        if definition.applied_revision == definition.revision:
            return definition
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_SECONDS)


def _applied_text(definition: JobDefinition) -> str:
    delay = (definition.applied_at - definition.updated_at).total_seconds() if definition.applied_at else None
    text = _("Applied %(delay)s later by %(scheduler)s") % {
        "delay": show_duration(max(delay or 0, 0.01)),
        "scheduler": definition.applied_by or _("a scheduler"),
    }
    return f"{text}; {_next_run(definition)}."


def _next_run(definition: JobDefinition) -> str:
    try:
        next_run_time = definition.scheduled.next_run_time
    except ObjectDoesNotExist:
        next_run_time = None
    if next_run_time is None:
        return _("no next run")
    local = next_run_time.astimezone(ZoneInfo(definition.timezone))
    pattern = "%H:%M:%S" if local.date() == now().astimezone(local.tzinfo).date() else "%Y-%m-%d %H:%M:%S"
    return _("next run %(time)s %(zone)s") % {"time": f"{local:{pattern}}", "zone": definition.timezone}
