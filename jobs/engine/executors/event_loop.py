"""An event loop that can tell whether it is blocked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from jobs.engine.executors.leftovers import ConnectionClosingPool

END_SECONDS = 1.0
"""Seconds that the tasks on a stopping loop have to end."""

PING_SECONDS = 1.0
BLOCKED_AFTER = 5.0
"""Seconds.  A loop that has not answered a ping for this long is blocked: an async function does not yield."""


class EventLoop:
    """An asyncio loop on a daemon thread of its own."""

    def __init__(self) -> None:
        self._pinged_at: float | None = None
        self._answered_at = time.monotonic()

    def start(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ConnectionClosingPool(thread_name_prefix="jobs-pool"))
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
            if left := [task for task in asyncio.all_tasks(self._loop) if task.cancel()]:
                self._loop.run_until_complete(asyncio.wait(left, timeout=END_SECONDS))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def stop(self) -> None:
        """Cancel the remaining tasks and close the loop.  A blocked loop ends with the process."""
        if not self._loop.is_closed():
            self.call(self._loop.stop)
            self._thread.join(2 * END_SECONDS)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call `function` in the loop's thread."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def has(self, task: asyncio.Task[None]) -> bool:
        return task.get_loop() is self._loop

    @property
    def is_pinged(self) -> bool:
        """Whether a ping has not been answered yet."""
        return self._pinged_at is not None

    @property
    def is_blocked(self) -> bool:
        """Whether a ping has not been answered for BLOCKED_AFTER.  Each call sends a ping when the last answer is a second old."""
        at = time.monotonic()
        if self._pinged_at is None and at - self._answered_at > PING_SECONDS:
            self._pinged_at = at
            self.call(self._answer)
        return self._pinged_at is not None and at - self._pinged_at > BLOCKED_AFTER

    def _answer(self) -> None:
        self._pinged_at, self._answered_at = None, time.monotonic()
