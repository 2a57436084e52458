"""Lanes: where a run goes on.  Each lane is one executor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.exceptions import UnknownFunction
from jobs.models import JobDefinition
from jobs.registry import get_function

THREADS = "default"  # APScheduler insists on an executor of this name
LOOP, PROCESSES = "loop", "processes"


def lane_of(definition: JobDefinition) -> str:
    """Where the definition's runs go on; a function that is gone fails in a thread."""
    if definition.executor == "process":
        return PROCESSES
    try:
        return LOOP if get_function(definition.function).is_async else THREADS
    except UnknownFunction:
        return THREADS


@dataclass(slots=True)
class Room:
    """How many runs a lane takes: `now` at once, `soon` after those; slots are late or not as of `judged_at`."""

    now: int
    soon: int
    judged_at: datetime

    @property
    def total(self) -> int:
        return self.now + self.soon
