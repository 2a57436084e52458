"""A schedule as people say it; `jobs.triggers` hands these on as its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSimError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.cron import Cron
from jobs.models import JobDefinition, Trigger
from jobs.validators import expand_cron


def details(definition: JobDefinition) -> str:
    """The schedule as the API's `trigger_details` has always said it: "every 3600 seconds", or the cron expression."""
    match definition.trigger:
        case Trigger.INTERVAL:
            return f"every {definition.interval_seconds} seconds"
        case Trigger.CRON:
            return f"{definition.cron} {definition.timezone}"
        case Trigger.ONCE if definition.run_at is not None:
            return f"once at {definition.run_at.astimezone(UTC).isoformat()}"
    return "only when asked"


def describe(definition: JobDefinition) -> str:
    """The schedule in words: "every 4 hours", "at 02:30 on weekdays, Europe/Vienna"; a damaged row's says that it is."""
    try:
        return _words(definition)
    except (CronSimError, KeyError, ValueError):
        return _("a schedule that cannot be read")


def _words(definition: JobDefinition) -> str:
    match definition.trigger:
        case Trigger.INTERVAL if definition.interval_seconds:
            return _every(definition.interval_seconds)
        case Trigger.INTERVAL:
            return _("not scheduled")
        case Trigger.CRON:
            return _describe_cron(definition.cron, definition.timezone)
        case Trigger.ONCE if definition.run_at is not None:
            local = definition.run_at.astimezone(ZoneInfo(definition.timezone))
            return _("once at %(time)s %(zone)s") % {"time": f"{local:%Y-%m-%d %H:%M:%S}", "zone": definition.timezone}
    return _("only when asked")


def _every(seconds: int) -> str:
    # One of a kind is a sentence of its own: German has "jeden Tag", "jede Stunde" and "alle 2 Stunden".
    match seconds:
        case 86_400:
            return _("every day")
        case 3_600:
            return _("every hour")
        case 60:
            return _("every minute")
        case 1:
            return _("every second")
    return _("every %(duration)s") % {"duration": _duration(seconds)}


def _describe_cron(expression: str, zone: str) -> str:
    words = Cron(expand_cron(expression), datetime(2024, 1, 1, tzinfo=UTC)).explain()
    words = words.replace("on Monday through Friday", _("on weekdays"))
    return f"{words[:1].lower()}{words[1:]}, {zone}"


def _duration(seconds: int) -> str:
    """Seconds as people say them: "4 hours", "1 day 12 hours"."""
    units: tuple[tuple[int, Callable[[int], str]], ...] = (
        (86_400, lambda n: ngettext("%(n)d day", "%(n)d days", n)),
        (3_600, lambda n: ngettext("%(n)d hour", "%(n)d hours", n)),
        (60, lambda n: ngettext("%(n)d minute", "%(n)d minutes", n)),
        (1, lambda n: ngettext("%(n)d second", "%(n)d seconds", n)),
    )
    parts, rest = [], seconds
    for size, words in units:
        number, rest = divmod(rest, size)
        if number:
            parts.append(words(number) % {"n": number})
    return " ".join(parts)
