"""When a dead worker is replaced: at once, or later when it has died soon after its start."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from jobs.engine.run import ClaimedRun
from jobs.engine.workers.handle import WorkerHandle

log = structlog.get_logger()

WAITS = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds to wait, by how many workers in a row have died soon after their start."""

STABLE_SECONDS = 5.0
"""A worker that lived for this long did not die of its start."""


class Restarts:
    """Counts deaths in a row."""

    def __init__(self) -> None:
        self._deaths = 0
        self._not_before = 0.0
        self._last = ""
        self._died_at = float("-inf")

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._not_before

    @property
    def problem(self) -> str:
        if self._deaths < 3 or time.monotonic() - self._died_at > 60.0:
            return ""
        return f"{self._deaths} workers in a row died soon after their start; the last with {self._last}"

    def note_failed_start(self, error: OSError) -> None:
        """Count a worker that could not even be started: too many open files, no memory."""
        self._deaths += 1
        self._not_before = time.monotonic() + WAITS[min(self._deaths + 1, len(WAITS) - 1)]
        self._last, self._died_at = f"{type(error).__name__}: {error}", time.monotonic()
        log.error("scheduler_worker_died", error=self._last, deaths=self._deaths)

    def note(self, handle: WorkerHandle, runs: Sequence[ClaimedRun], functions: str) -> None:
        """Count the end of a worker that was not asked to end.

        Only one that dies without a run to blame is made to wait: a job function that kills its worker each second
        must not take the others' workers away.
        """
        if handle.drain_until is not None and handle.process.exitcode == 0:
            return
        self._deaths = self._deaths + 1 if time.monotonic() - handle.started_at < STABLE_SECONDS else 1
        if not runs:
            self._not_before = time.monotonic() + WAITS[min(self._deaths, len(WAITS) - 1)]
        self._last, self._died_at = f"{handle.exit_text} while it ran {functions}", time.monotonic()
        log.error("scheduler_worker_died", pid=handle.process.pid, error=self._last, deaths=self._deaths)
