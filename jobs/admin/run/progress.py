"""The progress that a run reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from django.utils.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Progress:
    done: float
    total: float
    text: str

    @classmethod
    def of(cls, run: Any) -> Self | None:
        """The stored progress of a run, or None when it has none or cannot be read."""
        match run.progress:
            case {"done": int() | float() as done, "total": int() | float() as total}:
                return cls(done, total, str(run.progress.get("text") or ""))
        return None

    @property
    def percent(self) -> int:
        return round(100 * min(max(self.done / self.total, 0), 1)) if self.total > 0 else 0

    @property
    def summary(self) -> str:
        counted = _("%(done)g of %(total)g") % {"done": self.done, "total": self.total}
        return f"{counted} · {self.text}" if self.text else counted
