"""Values as people read them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.db import models
from django.utils.formats import localize
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from jobs.admin.durations import write_duration
from jobs.models import FOREVER, JobDefinition


def show_value(field: str, value: Any) -> str:
    """A definition's value as the history and the conflict page name it."""
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return show_moment(value)
    if field.endswith("_seconds"):
        return write_duration(value)
    if choices := _choices(field):
        return str(choices.get(value, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def label_of(field: str) -> str:
    """What people call a definition's field."""
    return str(_field(field).verbose_name)


def _field(name: str) -> models.Field[Any, Any]:
    return cast("models.Field[Any, Any]", JobDefinition._meta.get_field(name))


def _choices(field: str) -> dict[Any, Any]:
    return dict(_field(field).flatchoices)


def show_moment(moment: datetime, zone: str = "") -> str:
    """A moment in a time zone (the site's when none is given), which it names."""
    if moment == FOREVER:
        return _("somebody resumes it")
    return f"{localtime(moment, ZoneInfo(zone) if zone else None):%Y-%m-%d %H:%M:%S %Z}"


def show_seconds(seconds: float | None) -> str:
    """How long something took: "0.03 s", "12 s", "4 min 10 s"."""
    if seconds is None:
        return ""
    if abs(seconds) < 10:
        short = round(float(seconds), 2)
        return _("%(n)s s") % {"n": localize(int(short) if short.is_integer() else short)}
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    return _("%(minutes)d min %(rest)d s") % {"minutes": minutes, "rest": rest} if minutes else _("%(n)s s") % {"n": rest}


_UNITS = ((2 * 86_400, 86_400, "d"), (2 * 3_600, 3_600, "h"), (2 * 60, 60, "min"), (0, 1, "s"))


def distance_words() -> dict[str, str]:
    """The pieces of a distance, for the browser, which counts on in the same words."""
    return {name: _distance_word(name) for name in ("now", "in", "ago", "d", "h", "min", "s")}


def _distance_word(name: str) -> str:
    # A list says two hundred distances: each looks up the two pieces that it needs, and not all of them.
    match name:
        case "now":
            return _("now")
        case "in":
            return _("in %(time)s")
        case "ago":
            return _("%(time)s ago")
        case "d":
            return _("%(n)d days")
        case "h":
            return _("%(n)d h")
        case "min":
            return _("%(n)d min")
    return _("%(n)d s")


def show_distance(moment: datetime, now: datetime) -> str:
    """How far a moment is away: "in 12 min", "3 h ago"; the browser keeps it current."""
    seconds = round((moment - now).total_seconds())
    if seconds == 0:
        return _distance_word("now")
    size, unit = next((size, unit) for start, size, unit in _UNITS if abs(seconds) >= start)
    time = _distance_word(unit) % {"n": abs(seconds) // size}
    return _distance_word("in" if seconds >= 0 else "ago") % {"time": time}
