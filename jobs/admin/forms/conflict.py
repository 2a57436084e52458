"""Concurrent edits of one job: the changes made after a form was opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.models import JobDefinition


@dataclass(frozen=True, slots=True)
class Conflict:
    """The row as the form showed it, the current row, and the history records in between."""

    before: Any
    current: JobDefinition
    records: list[Any]

    @classmethod
    def since(cls, definition: JobDefinition, revision: int) -> Conflict | None:
        """The changes of `definition` after `revision`, or None when there are none."""
        if definition.revision == revision:
            return None
        records = list(definition.history.filter(revision__gt=revision).order_by("-revision")[:20])
        before = definition.history.filter(revision=revision).first()
        return cls(before, definition, records)

    @property
    def authors(self) -> str:
        return ", ".join(dict.fromkeys(record.author or record.source for record in self.records))

    def changed(self, field: str) -> bool:
        """Whether `field` changed.  True for every field when the history lacks the older revision."""
        return self.before is None or getattr(self.before, field) != getattr(self.current, field)
