"""The data of `/healthz` and `/readyz`, always within a deadline."""

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
def _deadline_check(name: str, check: Callable[[], Any]) -> DeadlineCheck[Any]:
    return DeadlineCheck(name, check)


def health() -> dict[str, Any]:
    """The data of `/healthz`; a block that fails or misses the deadline is replaced by its fallback."""
    checks = {name: _deadline_check(name, block.read) for name, block in blocks.items()}
    for check in (status, *checks.values()):
        check.start()
    deadline = time.monotonic() + HEALTH_DEADLINE_SECONDS
    data: dict[str, Any] = {"api": "healthy"}
    for name, check in checks.items():
        result = check.result(deadline)
        data |= blocks[name].fallback if result is None else result
    return data | {"scheduler": (status.result(deadline) or UNKNOWN).as_dict()}


def readiness() -> tuple[list[str], dict[str, Any]]:
    """The reasons why this process should get no requests (empty: it is ready), and the data of `/readyz`."""
    checks = [_deadline_check(f"ready: {name}", probe) for name, probe in probes.items()]
    ready.start()
    status.start()
    for check in checks:
        check.start()
    deadline = time.monotonic() + READY_DEADLINE_SECONDS
    problem = ready.result(deadline)
    reasons = [UNREACHABLE if problem is None else problem, *(check.result(deadline) for check in checks)]
    data = {"database": "unreachable" if problem is None else "reachable", "scheduler": (status.result(deadline) or UNKNOWN).as_dict()}
    return [reason for reason in reasons if reason], data
