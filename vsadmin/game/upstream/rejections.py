"""Items of an upstream answer that make no sense: left out, counted, and named in the log."""

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
    """What was refused while one answer was read: how many items, and why the first few."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, item: str, why: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{item}: {why}"[:300])

    @property
    def first(self) -> str:
        return self.examples[0] if self.examples else "none"

    def log_summary(self, source: str) -> None:
        """One line in the log, and none when nothing was refused."""
        if self.count:
            log.warning("upstream_items_refused", source=source, count=self.count, examples=self.examples)


def read_item(model: type[Item], value: Any, rejected: RejectedItems, name: str) -> Item | None:
    """`value` as a `model`, or None and one more refusal."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        rejected.add(name, f"{where}: {first['msg']}" if where else first["msg"])
        return None
