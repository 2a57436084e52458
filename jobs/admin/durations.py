"""Lengths of time as people write them: `90`, `15m`, `4h`, `1d 12h`."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPELLINGS = {
    "w": ("w", "week", "weeks"),
    "d": ("d", "day", "days"),
    "h": ("h", "hr", "hour", "hours"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "s": ("s", "sec", "secs", "second", "seconds"),
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
# At most 12 digits: no length that fits the database has more, and int() of a megabyte of digits takes a minute.
_PART = re.compile(r"(\d{1,12})\s*([a-z]*)\s*")


def parse_duration(text: str) -> int:
    """Seconds in `text`; a number without a unit is seconds.  Raises ValidationError that says what to write instead."""
    words = text.strip().lower()
    if words.startswith(("-", "\N{MINUS SIGN}")):
        raise ValidationError(_("A length of time cannot be negative."), code="negative")
    if re.search(r"\d[.,]\d", words):
        raise ValidationError(_("Whole numbers only: 1h 30m instead of 1.5h."), code="fraction")
    if re.search(r"\d{13}", words):
        raise ValidationError(_("That is longer than a leap year (366d)."), code="too_long")
    seconds, position = 0, 0
    while part := _PART.match(words, position):
        number, unit = int(part[1]), _UNIT_OF.get(part[2] or "s")
        if unit is None:
            break
        seconds, position = seconds + number * UNITS[unit], part.end()
    if not words or position != len(words):
        raise ValidationError(_("“%(text)s” is no length of time; write 90 (seconds), 15m, 4h or 1d 12h."), code="invalid", params={"text": text.strip()[:40]})
    return seconds


def write_duration(seconds: int) -> str:
    """The shortest text that `parse_duration` reads back as `seconds`, without weeks."""
    parts, rest = [], seconds
    for unit in "dhms":
        number, rest = divmod(rest, UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts) or "0"
