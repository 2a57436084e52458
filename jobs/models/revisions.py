"""The revision that a change is based on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from jobs.exceptions import RevisionMismatch

Expected = int | Collection[int] | None
"""A revision, or several of which any will do; None: whatever there is."""


def require_revision(definition: Any, expected: Expected) -> None:
    """Raise RevisionMismatch unless the definition is at an expected revision.  Lock its row first."""
    revisions = [expected] if isinstance(expected, int) else expected
    if revisions is not None and definition.revision not in revisions:
        raise RevisionMismatch(definition.pk, revisions, definition.revision)
