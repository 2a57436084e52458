"""Two people edit one job: who changed what since the second one opened the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.models import JobDefinition


@dataclass(frozen=True, slots=True)
class Conflict:
    """The row as the editor saw it, as it is now, and the changes that lie between."""

    before: Any
    current: JobDefinition
    records: list[Any]

    @classmethod
    def since(cls, definition: JobDefinition, revision: int) -> Conflict | None:
        """What happened to `definition` after `revision`, or None when nothing did."""
        if definition.revision == revision:
            return None
        records = list(definition.history.filter(revision__gt=revision).order_by("-revision")[:20])
        before = definition.history.filter(revision=revision).first()
        return cls(before, definition, records)

    @property
    def authors(self) -> str:
        return ", ".join(dict.fromkeys(record.author or record.source for record in self.records))

    def changed(self, field: str) -> bool:
        """Whether somebody else changed `field`; every field when the history does not know."""
        return self.before is None or getattr(self.before, field) != getattr(self.current, field)
