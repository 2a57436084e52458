"""Which texts a database can store: no NUL, which PostgreSQL refuses, and no half of a surrogate pair, which no database takes."""

from __future__ import annotations


def make_storable(text: str) -> str:
    """`text` without NUL, and with a question mark for each half of a surrogate pair."""
    return text.replace("\0", "").encode(errors="replace").decode()


def is_storable(text: str) -> bool:
    return make_storable(text) == text
