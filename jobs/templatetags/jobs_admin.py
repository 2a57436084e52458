"""Template tags and filters of the jobs' pages: badges, times, and strips of runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from math import log10
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.dateformat import format as date_format
from django.utils.timezone import localtime, now
from django.utils.translation import ngettext

from jobs.admin.durations import distance_words, show_distance, show_duration
from jobs.admin.job.history import Change, changes_between
from jobs.admin.job.latest import StripRun
from jobs.admin.job.verbs import Verb
from jobs.admin.overview.overview import overview
from jobs.admin.run.changelist import BEFORE, ON, RunChangeList
from jobs.admin.run.progress import Progress
from jobs.admin.scheduler_state import SchedulerState, scheduler_state
from jobs.admin.wording import show_time, show_value
from jobs.models import FOREVER, JobDefinition, JobRun, Status

register = template.Library()

BADGES = {
    Status.QUEUED: "muted",
    Status.RUNNING: "busy",
    Status.SUCCEEDED: "ok",
    Status.FAILED: "bad",
    Status.TIMED_OUT: "bad",
    Status.CANCELLED: "muted",
    Status.ABANDONED: "bad",
    Status.MISSED: "warn",
    Status.SKIPPED: "muted",
}
HEAD_WRITTEN = "jobs_head"
STRIP_BARS = 30
BAR_WIDTH, BAR_GAP, STRIP_HEIGHT = 2, 1, 24

register.filter("duration", show_duration)
register.filter("full_time", show_time)


@register.filter
def default_of(defaults: dict[str, Any], field: str) -> str:
    """The default that the code sets for a field, as text."""
    return show_value(field, defaults[field])


@register.filter
def changes_of(record: Any) -> list[Change]:
    """The changes that one record of the history made."""
    before = record.prev_record
    return changes_between(before, record) if before else []


@register.filter
def verb_url(verb: Verb, job: JobDefinition) -> str:
    return reverse(f"admin:jobs_jobdefinition_{verb.name}", args=[job.pk])


@register.filter
def drill_url(changelist: RunChangeList, on: str) -> str:
    return changelist.get_query_string({ON: on or None}, remove=[BEFORE])


@register.filter
def clock(at: datetime) -> str:
    """Weekday, date and time with the zone of `at`."""
    return f"{date_format(at, 'D Y-m-d H:i:s')} {at:%Z}"


@register.filter
def badge(status: str) -> str:
    """The colour of a status, the last part of a CSS class."""
    return BADGES[Status(status)]


@register.filter
def distance(at: datetime) -> str:
    return show_distance(at, now())


@register.filter
def progress(run: JobRun) -> Progress | None:
    return Progress.of(run)


@register.filter
def forever(at: datetime | None) -> bool:
    return at == FOREVER


@register.inclusion_tag("admin/jobs/tags/badge.html")
def status_badge(run: JobRun | StripRun) -> dict[str, Any]:
    return {"colour": badge(run.status), "label": Status(run.status).label}


@register.inclusion_tag("admin/jobs/tags/when.html")
def when(at: datetime | None, zone: str = "") -> dict[str, Any]:
    """Time with its zone, and the distance from now."""
    if not at:  # None, or "" from a template variable that does not exist
        return {"at": None}
    local = localtime(at, ZoneInfo(zone)) if zone else localtime(at)
    days = abs((local.date() - localtime(now(), local.tzinfo).date()).days)
    pattern = "H:i:s" if days == 0 else "D H:i" if days < 6 else "Y-m-d H:i"
    return {
        "at": at,
        "iso": local.isoformat(),
        "clock": date_format(local, pattern),
        "full": f"{local:%Y-%m-%d %H:%M:%S %Z}",
        "zone": f"{local:%Z}",
        "distance": show_distance(at, now()),
    }


@register.inclusion_tag("admin/jobs/tags/strip.html")
def run_strip(runs: Sequence[JobRun | StripRun], job: JobDefinition) -> dict[str, Any]:
    """The last runs as bars from old to new.  Height is the logarithm of the duration, colour the status."""
    shown = list(reversed(runs[:STRIP_BARS]))
    bars: dict[str, str] = {}
    # One path for each colour: with one element for each run, a page of fifty rows took three times as long.
    for place, run in enumerate(shown, start=STRIP_BARS - len(shown)):
        height, colour = _bar_height(run.duration), badge(run.status)
        bars[colour] = bars.get(colour, "") + f"M{place * (BAR_WIDTH + BAR_GAP)} {STRIP_HEIGHT}v-{height}h{BAR_WIDTH}v{height}z"
    counts = Counter(run.status for run in shown)
    summary = ", ".join(f"{count} {Status(status).label}" for status, count in counts.most_common())
    return {
        "bars": list(bars.items()),
        "job": job,
        "summary": ngettext("Last run: %(summary)s", "Last %(count)d runs: %(summary)s", len(shown)) % {"count": len(shown), "summary": summary},
        "width": STRIP_BARS * (BAR_WIDTH + BAR_GAP),
        "strip_height": STRIP_HEIGHT,
    }


def _bar_height(seconds: float | None) -> int:
    """5 for up to a millisecond, 24 for 15 minutes or more."""
    scaled = (log10(max(seconds or 0.0, 0.001)) + 3) / 6
    return round(5 + 19 * min(scaled, 1.0))


@register.inclusion_tag("admin/jobs/tags/scheduler.html")
def scheduler_line(state: SchedulerState | None = None) -> dict[str, Any]:
    return {"state": state or scheduler_state(now())}


@register.inclusion_tag("admin/jobs/tags/head.html", takes_context=True)
def jobs_head(context: Context) -> dict[str, Any]:
    """The stylesheet and script of these pages, once for each page: the site's base template may have loaded them."""
    first = not context.render_context.get(HEAD_WRITTEN)
    context.render_context[HEAD_WRITTEN] = True
    return {"first": first, "distance_words": json.dumps(distance_words())}


@register.simple_tag(takes_context=True)
def jobs_overview(context: Any) -> Any:
    """The data of the overview, or None for a user without permission to view jobs and runs."""
    user = context["request"].user
    return overview(now()) if user.has_perm("jobs.view_jobdefinition") and user.has_perm("jobs.view_jobrun") else None
