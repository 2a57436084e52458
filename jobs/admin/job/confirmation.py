"""What staff are told after a change: who applied it, how soon, and when the job runs next."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext as _

from jobs.admin.wording import show_seconds
from jobs.clock import database_now
from jobs.models import JobDefinition, SchedulerInstance

PATIENCE_SECONDS = 1.0
GLANCE_SECONDS = 0.02


def confirm_change(request: HttpRequest, job_id: str, done: str) -> None:
    """Tell the person that `done` happened, and what the scheduler made of it.  Call it after the commit."""
    if not SchedulerInstance.objects.running(database_now()).exists():
        text = _("No scheduler is running: it takes effect once one is started with “manage.py runscheduler”.")
        messages.warning(request, f"{done} {text}")
        return
    definition = _applied(job_id)
    if definition is None:
        text = _("The scheduler has not applied it within a second; the list shows when it has.")
        messages.warning(request, f"{done} {text}")
        return
    messages.success(request, f"{done} {_applied_text(definition)}")


def _applied(job_id: str) -> JobDefinition | None:
    """The definition as soon as a scheduler has applied it, or None when that takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        definition = JobDefinition.objects.select_related("scheduled").find(job_id)
        if definition.applied_revision == definition.revision:
            return definition
        if time.monotonic() > deadline:
            return None
        time.sleep(GLANCE_SECONDS)


def _applied_text(definition: JobDefinition) -> str:
    delay = (definition.applied_at - definition.updated_at).total_seconds() if definition.applied_at else None
    text = _("Applied %(delay)s later by %(scheduler)s") % {
        "delay": show_seconds(max(delay or 0, 0.01)),
        "scheduler": definition.applied_by or _("a scheduler"),
    }
    return f"{text}; {_next_run(definition)}."


def _next_run(definition: JobDefinition) -> str:
    try:
        moment = definition.scheduled.next_run_time
    except ObjectDoesNotExist:
        moment = None
    if moment is None:
        return _("no next run")
    local = moment.astimezone(ZoneInfo(definition.timezone))
    pattern = "%H:%M:%S" if local.date() == now().astimezone(local.tzinfo).date() else "%Y-%m-%d %H:%M:%S"
    return _("next run %(time)s %(zone)s") % {"time": f"{local:{pattern}}", "zone": definition.timezone}
