"""The data of `/healthz` and `/readyz`, always within a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from health.registry import blocks, probes
from jobs.monitoring.deadline import DeadlineCheck
from jobs.monitoring.readiness import check_database
from jobs.monitoring.status import UNKNOWN, read_status

HEALTH_DEADLINE_SECONDS = 0.7
READY_DEADLINE_SECONDS = 1.5
UNREACHABLE = "the database is out of reach"
UNKNOWN_CHECKS = {"writable": None, "migrations": None}

status = DeadlineCheck("scheduler", read_status)
database = DeadlineCheck("readiness", check_database)


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
    """The reasons why this process should get no requests (empty: it is ready), and the data of `/readyz`.

    `checks` has true or false for each condition, and null for what cannot be known while the database is out of reach.
    """
    registered = {name: _deadline_check(f"ready: {name}", probe) for name, probe in probes.items()}
    database.start()
    status.start()
    for check in registered.values():
        check.start()
    deadline = time.monotonic() + READY_DEADLINE_SECONDS
    found = database.result(deadline)
    problems = {"database": UNREACHABLE if found is None else "", **(found or {}), **{name: check.result(deadline) for name, check in registered.items()}}
    reasons = [reason for reason in problems.values() if reason]
    data = {
        "ready": not reasons,
        "checks": (UNKNOWN_CHECKS if found is None else {}) | {name: not reason for name, reason in problems.items()},
        "database": "unreachable" if found is None else "reachable",
        "scheduler": (status.result(deadline) or UNKNOWN).as_dict(),
    }
    return reasons, data
