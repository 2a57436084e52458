"""Invalid items of an upstream answer: skipped, counted, and logged with the first reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

log = structlog.get_logger()

Item = TypeVar("Item", bound=BaseModel)
EXAMPLES = 5


@dataclass(slots=True)
class RejectedItems:
    """The invalid items of one answer: their number, and the first few with the reason."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, item: str, reason: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{item}: {reason}"[:300])

    @property
    def first(self) -> str:
        return self.examples[0] if self.examples else "none"

    def log_summary(self, source: str) -> None:
        """Log one warning; nothing when no item was rejected."""
        if self.count:
            log.warning("upstream_items_refused", source=source, count=self.count, examples=self.examples)


def read_item(model: type[Item], value: Any, rejected: RejectedItems, name: str) -> Item | None:
    """`value` validated as a `model`; None, and an entry in `rejected`, when it is invalid."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        rejected.add(name, f"{where}: {first['msg']}" if where else first["msg"])
        return None
