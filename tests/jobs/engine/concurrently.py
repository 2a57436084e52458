"""Concurrent steps of several schedulers, each in a thread with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection, connections

from jobs.engine.claim_result import ClaimResult


def at_the_same_time(*steps: Callable[[], Any]) -> list[Any]:
    """Call each step in a thread with a connection of its own, all at once; returns what they return."""
    barrier, results = threading.Barrier(len(steps)), dict[int, Any]()

    def take(number: int, step: Callable[[], Any]) -> None:
        try:
            barrier.wait(10)
            results[number] = step()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=take, args=step) for step in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [results[number] for number in range(len(steps))]


def while_held(job_id: str, step: Callable[[], ClaimResult]) -> ClaimResult:
    """Call `step` while another connection holds the lock of a job's store entry; returns what it claims."""
    locked, released = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM django_apscheduler_djangojob WHERE id = %s FOR UPDATE", [job_id])
            locked.set()
            released.wait(10)
            cursor.execute("ROLLBACK")

    def claim() -> ClaimResult:
        locked.wait(10)
        try:
            return step()
        finally:
            released.set()

    _held, claimed = at_the_same_time(hold, claim)
    return claimed  # type: ignore[no-any-return]  # at_the_same_time takes steps of any kind
