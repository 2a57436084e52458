"""Checks that may hang, with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog
from django.db import connections

log = structlog.get_logger()

Result = TypeVar("Result")


class DeadlineCheck(Generic[Result]):
    """A function that runs in a background thread, at most one at a time; its result stays valid for `fresh_for_seconds`.

    The thread closes its database connection after each check: a check on an old connection would hang until TCP gives up,
    while a new connection attempt ends after `connect_timeout`.
    """

    def __init__(self, name: str, check: Callable[[], Result], fresh_for_seconds: float = 1.0) -> None:
        self.name = name
        self._check = check
        self._fresh_for = fresh_for_seconds
        self._changed = threading.Condition()
        self._running = False
        self._result: Result | None = None
        self._finished_at = float("-inf")
        self._failed = False

    def start(self) -> None:
        """Start the check, unless it is running or its last result is fresh."""
        with self._changed:
            if self._running or self._is_fresh():
                return
            self._running = True
        threading.Thread(target=self._run, name=f"check {self.name}", daemon=True).start()

    def result(self, deadline: float) -> Result | None:
        """The result, or None when the check failed or has not finished at `deadline` (by `time.monotonic()`)."""
        self.start()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, max(deadline - time.monotonic(), 0))
            return self._result if self._is_fresh() and not self._failed else None

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._finished_at <= self._fresh_for

    def _run(self) -> None:
        result, failed = None, False
        try:
            result = self._check()
        except Exception as error:  # noqa: BLE001 -- the probe has to answer after any exception; it is logged
            failed = True
            self._report(error)
        finally:
            connections.close_all()
            with self._changed:
                self._result, self._failed, self._running = result, failed, False
                self._finished_at = time.monotonic()
                self._changed.notify_all()

    def _report(self, error: Exception) -> None:
        # Probes come every second or two: only the first failure of a series is logged.
        if not self._failed:
            log.warning("probe_failed", probe=self.name, problem=f"{type(error).__name__}: {error}"[:300])
