"""Pools: where runs execute.  Each pool is one executor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.exceptions import UnknownFunction
from jobs.models import JobDefinition, Status
from jobs.registry import get_function

THREADS = "default"  # APScheduler requires an executor of this name
LOOP, PROCESSES = "loop", "processes"


def pool_of(definition: JobDefinition) -> str:
    """The pool of the definition's runs; a run of an unknown function fails in a thread."""
    if definition.executor == "process":
        return PROCESSES
    try:
        return LOOP if get_function(definition.function).is_async else THREADS
    except UnknownFunction:
        return THREADS


@dataclass(slots=True)
class Capacity:
    """How many runs a pool takes: `immediate` start at once, `buffered` wait in this process.

    `judged_at` is the time that decides whether a slot is late: the time at which the pool became full, else now.
    """

    immediate: int
    buffered: int
    judged_at: datetime

    @property
    def total(self) -> int:
        return self.immediate + self.buffered

    def take(self) -> Status:
        """Use one place; returns the status that its run gets."""
        if self.immediate > 0:
            self.immediate -= 1
            return Status.RUNNING
        self.buffered -= 1
        return Status.QUEUED
