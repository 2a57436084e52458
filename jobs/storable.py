"""What every supported database can store.

No NUL, which PostgreSQL refuses; no half of a surrogate pair, which no database takes; in JSON no NaN and no infinity,
and numbers and nesting of a size that all its readers accept.
"""

from __future__ import annotations

import math

from django.utils.translation import gettext as _

MAX_DEPTH = 32
"""Levels of nesting in JSON."""

LARGEST_INTEGER = 10**1000
"""Python refuses to read an integer of more than 4,300 digits."""


def make_storable(text: str) -> str:
    """`text` without NUL, and with a question mark for each half of a surrogate pair."""
    return text.replace("\0", "").encode(errors="replace").decode()


def is_storable(text: str) -> bool:
    return make_storable(text) == text


def is_too_deep(value: object, depth: int = 0) -> bool:
    """Whether `value` has more than MAX_DEPTH levels of nesting."""
    if depth > MAX_DEPTH:
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(is_too_deep(part, depth + 1) for part in parts)


def json_problem(value: object, depth: int = 0) -> str | None:
    """Why a database could not store `value` as JSON, or None."""
    if depth > MAX_DEPTH:
        return _("Expected at most %(depth)d levels of nesting.") % {"depth": MAX_DEPTH}
    if isinstance(value, str) and not is_storable(value):
        return _("Expected text without NUL and without unpaired surrogates.")
    if isinstance(value, float) and not math.isfinite(value):
        return _("Expected finite numbers, got %(number)s.") % {"number": value}
    if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
        return _("Expected numbers of at most 1,000 digits.")
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next((problem for part in parts if (problem := json_problem(part, depth + 1))), None)
