"""A schedule in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSimError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.schedule.cron import Cron
from jobs.schedule.durations import split
from jobs.schedule.kinds import Trigger
from jobs.schedule.validators import expand_cron


def details(trigger: str, interval_seconds: int, cron: str, run_at: datetime | None, timezone: str) -> str:
    """The schedule as the API's `trigger_details` states it: "every 3600 seconds", or the cron expression."""
    match trigger:
        case Trigger.INTERVAL:
            return f"every {interval_seconds} seconds"
        case Trigger.CRON:
            return f"{cron} {timezone}"
        case Trigger.ONCE if run_at is not None:
            return f"once at {run_at.astimezone(UTC).isoformat()}"
    return "only when asked"


def describe(trigger: str, interval_seconds: int, cron: str, run_at: datetime | None, timezone: str) -> str:
    """The schedule in words: "every 4 hours", "at 02:30 on weekdays, Europe/Vienna"; a damaged one says that it is."""
    try:
        return _words(trigger, interval_seconds, cron, run_at, timezone)
    except (CronSimError, KeyError, ValueError):
        return _("a schedule that cannot be read")


def _words(trigger: str, interval_seconds: int, cron: str, run_at: datetime | None, timezone: str) -> str:
    match trigger:
        case Trigger.INTERVAL if interval_seconds:
            return _every(interval_seconds)
        case Trigger.INTERVAL:
            return _("not scheduled")
        case Trigger.CRON:
            return _describe_cron(cron, timezone)
        case Trigger.ONCE if run_at is not None:
            local = run_at.astimezone(ZoneInfo(timezone))
            return _("once at %(time)s %(zone)s") % {"time": f"{local:%Y-%m-%d %H:%M:%S}", "zone": timezone}
    return _("manually only")


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
    words = words.replace("on Monday through Friday", "on weekdays")  # cronsim has English words only
    return f"{words[:1].lower()}{words[1:]}, {zone}"


def _duration(seconds: int) -> str:
    """Seconds as people say them: "4 hours", "1 day 12 hours"."""
    units: dict[str, Callable[[int], str]] = {
        "d": lambda n: ngettext("%(n)d day", "%(n)d days", n),
        "h": lambda n: ngettext("%(n)d hour", "%(n)d hours", n),
        "m": lambda n: ngettext("%(n)d minute", "%(n)d minutes", n),
        "s": lambda n: ngettext("%(n)d second", "%(n)d seconds", n),
    }
    return " ".join(units[unit](number) % {"n": number} for number, unit in split(seconds))
