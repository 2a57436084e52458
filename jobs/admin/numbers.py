"""Numbers that a browser sends."""

from __future__ import annotations

MOST_DIGITS = 18
"""Of a number: any of this length fits into 64 bits."""


def whole_number(text: str) -> int | None:
    """The number that `text` writes in ASCII digits, at most 18 of them; None for anything else, such as `²`, which counts as a digit for Python."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None


def expected_revision(text: str) -> int | None:
    """The revision that a page was rendered from: None when the page sent none, 0 (which no definition has) when it cannot be read."""
    return (whole_number(text) or 0) if text else None
