"""What `/healthz` and `/readyz` answer, always in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from health.registry import blocks, probes
from jobs.monitoring.deadline import DeadlineCheck
from jobs.monitoring.readiness import why_not_ready
from jobs.monitoring.status import UNKNOWN, read_status

HEALTH_DEADLINE_SECONDS = 0.7
READY_DEADLINE_SECONDS = 1.5
UNREACHABLE = "the database is out of reach"

status = DeadlineCheck("scheduler", read_status)
ready = DeadlineCheck("readiness", lambda: why_not_ready() or "")


@cache
def _guarded(name: str, ask: Callable[[], Any]) -> DeadlineCheck[Any]:
    return DeadlineCheck(name, ask)


def health() -> dict[str, Any]:
    """The data of `/healthz`; whatever can't be known in time is answered by its fallback."""
    asked = {name: _guarded(name, block.read) for name, block in blocks.items()}
    for question in (status, *asked.values()):
        question.start()
    deadline = time.monotonic() + HEALTH_DEADLINE_SECONDS
    data: dict[str, Any] = {"api": "healthy"}
    for name, question in asked.items():
        answer = question.answer(deadline)
        data |= blocks[name].fallback if answer is None else answer
    return data | {"scheduler": (status.answer(deadline) or UNKNOWN).as_dict()}


def readiness() -> tuple[list[str], dict[str, Any]]:
    """Why this process should get no requests (nothing: it should), and the data of `/readyz`."""
    asked = [_guarded(f"ready: {name}", probe) for name, probe in probes.items()]
    for question in asked:
        question.start()
    ready.start()
    status.start()
    deadline = time.monotonic() + READY_DEADLINE_SECONDS
    problem = ready.answer(deadline)
    reasons = [UNREACHABLE if problem is None else problem, *(question.answer(deadline) for question in asked)]
    data = {"database": "unreachable" if problem is None else "reachable", "scheduler": (status.answer(deadline) or UNKNOWN).as_dict()}
    return [reason for reason in reasons if reason], data
