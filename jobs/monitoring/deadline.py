"""Asking something that may hang, without hanging."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog
from django.db import connections

log = structlog.get_logger()

Answer = TypeVar("Answer")


class DeadlineCheck(Generic[Answer]):
    """A question asked in a thread of its own, one at a time, whose last answer is good for a moment.

    The thread closes its database connection after each question: a connection that hangs would otherwise hang for
    as long as the network lets it, while opening a new one has a time limit.
    """

    def __init__(self, name: str, ask: Callable[[], Answer], fresh_for_seconds: float = 1.0) -> None:
        self.name = name
        self._ask = ask
        self._fresh_for = fresh_for_seconds
        self._changed = threading.Condition()
        self._asking = False
        self._answer: Answer | None = None
        self._answered_at = float("-inf")
        self._failed = False

    def start(self) -> None:
        """Ask, unless the last answer is fresh or a question is out."""
        with self._changed:
            if self._asking or self._is_fresh():
                return
            self._asking = True
        threading.Thread(target=self._run, name=f"ask {self.name}", daemon=True).start()

    def answer(self, deadline: float) -> Answer | None:
        """The answer, or None when it failed or is not there at `deadline` (of `time.monotonic()`)."""
        self.start()
        with self._changed:
            self._changed.wait_for(lambda: not self._asking, max(deadline - time.monotonic(), 0))
            return self._answer if self._is_fresh() and not self._failed else None

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._answered_at <= self._fresh_for

    def _run(self) -> None:
        answer, failed = None, False
        try:
            answer = self._ask()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the probe has to answer; the next line says it
            failed = True
            self._report(error)
        finally:
            connections.close_all()
            with self._changed:
                self._answer, self._failed, self._asking = answer, failed, False
                self._answered_at = time.monotonic()
                self._changed.notify_all()

    def _report(self, error: Exception) -> None:
        # Probes come every second or two: only the first of a series of failures is news.
        if not self._failed:
            log.warning("probe_failed", probe=self.name, problem=f"{type(error).__name__}: {error}"[:300])
