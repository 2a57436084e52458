"""The units of a duration, for every text that states or reads one."""

from __future__ import annotations

UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def split(seconds: int, units: str = "dhms") -> list[tuple[int, str]]:
    """`seconds` as numbers of `units`, the largest first, without those that are 0."""
    parts, rest = [], seconds
    for unit in units:
        number, rest = divmod(rest, UNITS[unit])
        if number:
            parts.append((number, unit))
    return parts
