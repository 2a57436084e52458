"""Validation of cron expressions, time zones and moments.  Each error names the part that is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.core.exceptions import ValidationError
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from jobs.schedule.kinds import FOREVER

CRON_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Names and numbers of at most two digits, so that no expression can ask for a huge range or a huge list.
_CRON_FIELD = re.compile(r"(?:[0-9A-Za-z*/#-]{1,12})(?:,[0-9A-Za-z*/#-]{1,12}){0,59}")


def expand_cron(expression: str) -> str:
    """The five fields of an alias such as @hourly; any other expression with its spaces folded."""
    folded = " ".join(expression.split())
    return CRON_ALIASES.get(folded.lower(), folded)


def cron_problem(expression: str) -> str | None:
    """What is wrong with a cron expression, or None: five fields as in Debian's cron(8), or an alias such as @hourly, that fire at least once.

    Takes at most milliseconds, for hostile input too.
    """
    return _cron_problem(expression, get_language())


@lru_cache(maxsize=4096)
def _cron_problem(expression: str, language: str | None) -> str | None:
    """`language` is part of the cache key, because the answer is translated."""
    if len(expression) > 255:
        return _("Expected at most 255 characters.")
    expanded = expand_cron(expression)
    if expanded.startswith("@"):
        return _("%(alias)s is not a known alias; use one of %(known)s.") % {"alias": expanded, "known": ", ".join(CRON_ALIASES)}
    fields = expanded.split(" ")
    if len(fields) != 5:
        return _("Expected five fields (minute hour day-of-month month day-of-week) or an alias such as @hourly, got %(count)d.") % {
            "count": len(fields) if expanded else 0
        }
    for field, name in zip(fields, (_("minute"), _("hour"), _("day-of-month"), _("month"), _("day-of-week")), strict=True):
        if not _CRON_FIELD.fullmatch(field) or re.search(r"\d{3}", field):
            return _("The %(name)s field cannot be %(field)s.") % {"name": name, "field": field[:40]}
    try:
        next(CronSim(expanded, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return _cron_sim_message(str(error), fields)
    except StopIteration:
        return _("It never fires: no such date exists.")
    return None


def _cron_sim_message(message: str, fields: list[str]) -> str:
    allowed = {
        "minute": "0-59",
        "hour": "0-23",
        "day-of-month": "1-31",
        "month": "1-12 or JAN-DEC",
        "day-of-week": "0-7 or SUN-SAT",
    }
    for (name, values), field in zip(allowed.items(), fields, strict=True):
        if message == f"Bad {name}":
            return _("The %(name)s field cannot be %(field)s. Expected %(values)s, or lists, ranges and steps of these, on dates that exist.") % {
                "name": name,
                "field": field,
                "values": values,
            }
    return message


NOT_ZONES = re.compile(r"(?:localtime|posixrules|Factory|(?:right|posix)/.*)")
"""Files beside those of IANA's zones: they mean something else on each machine, or count leap seconds."""


def validate_timezone(name: str) -> None:
    """Raise ValidationError unless this machine knows the IANA time zone."""
    try:
        known = not NOT_ZONES.fullmatch(name) and ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = False
    if not known:
        raise ValidationError(_('Unknown time zone "%(name)s". Example: Europe/Vienna.'), code="invalid_timezone", params={"name": name[:60]})


def validate_moment(at: datetime) -> None:
    """Raise ValidationError near the ends of the calendar, where a change of zone or an added interval overflows; FOREVER is allowed."""
    if at != FOREVER and not 1970 <= at.year <= 9998:
        raise ValidationError(_("Expected a time from 1970 to 9998."), code="invalid_moment")
