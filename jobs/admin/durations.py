"""Durations: `1d 12h` as staff type them, `4 min 10 s` as a run took, `in 12 min` as a distance from now."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.formats import localize
from django.utils.translation import gettext as _

from jobs.schedule.durations import UNITS, split

_SPELLINGS = {
    "w": ("w", "week", "weeks"),
    "d": ("d", "day", "days"),
    "h": ("h", "hr", "hour", "hours"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "s": ("s", "sec", "secs", "second", "seconds"),
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
# At most 12 digits: no duration that fits the database has more, and int() of a megabyte of digits takes a minute.
_PART = re.compile(r"(\d{1,12})\s*([a-z]*)\s*")
_DISTANCES = ((2 * UNITS["d"], "d"), (2 * UNITS["h"], "h"), (2 * UNITS["m"], "m"), (0, "s"))
"""From how many seconds on a distance is stated in which unit."""


def parse_duration(text: str) -> int:
    """Seconds in `text`; a number without a unit is seconds.  Raises ValidationError with an example of valid input."""
    words = text.strip().lower()
    if words.startswith(("-", "\N{MINUS SIGN}")):
        raise ValidationError(_("A duration cannot be negative."), code="negative")
    if re.search(r"\d[.,]\d", words):
        raise ValidationError(_("Whole numbers only: 1h 30m instead of 1.5h."), code="fraction")
    if re.search(r"\d{13}", words):
        raise too_long()
    seconds, position = 0, 0
    while part := _PART.match(words, position):
        number, unit = int(part[1]), _UNIT_OF.get(part[2] or "s")
        if unit is None:
            break
        seconds, position = seconds + number * UNITS[unit], part.end()
    if not words or position != len(words):
        raise ValidationError(_("“%(text)s” is not a duration. Use 90 (seconds), 15m, 4h or 1d 12h."), code="invalid", params={"text": text.strip()[:40]})
    return seconds


def too_long() -> ValidationError:
    return ValidationError(_("That is longer than a leap year (366d)."), code="too_long")


def write_duration(seconds: int) -> str:
    """The shortest text that `parse_duration` reads back as `seconds`, without weeks."""
    return " ".join(f"{number}{unit}" for number, unit in split(seconds)) or "0"


def show_duration(seconds: float | None) -> str:
    """How long a run took: "0.03 s", "12 s", "4 min 10 s"."""
    if seconds is None:
        return ""
    if abs(seconds) < 10:
        rounded = round(float(seconds), 2)
        return _("%(n)s s") % {"n": localize(int(rounded) if rounded.is_integer() else rounded)}
    return " ".join(_word(unit) % {"n": number} for number, unit in split(round(seconds), "hms")[:2])


def show_distance(at: datetime, now: datetime) -> str:
    """The distance from `now` to `at`: "in 12 min", "3 h ago".  The browser keeps it current."""
    seconds = round((at - now).total_seconds())
    if seconds == 0:
        return _("now")
    unit = next(unit for start, unit in _DISTANCES if abs(seconds) >= start)
    time = _word(unit) % {"n": abs(seconds) // UNITS[unit]}
    return (_("in %(time)s") if seconds > 0 else _("%(time)s ago")) % {"time": time}


def distance_words() -> dict[str, Any]:
    """What the browser needs to state a distance in the words of `show_distance`."""
    units = [(start, UNITS[unit], _word(unit)) for start, unit in _DISTANCES]
    return {"now": _("now"), "in": _("in %(time)s"), "ago": _("%(time)s ago"), "units": units}


def _word(unit: str) -> str:
    # Called for each distance of a list, two hundred times a page: only the needed text is translated.
    match unit:
        case "d":
            return _("%(n)d days")
        case "h":
            return _("%(n)d h")
        case "m":
            return _("%(n)d min")
    return _("%(n)d s")
