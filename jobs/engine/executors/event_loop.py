"""An event loop that can be asked whether it still turns."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

END_SECONDS = 1.0
"""What is left on a loop that ends gets so long to notice."""

ASK_EVERY = 1.0
BLOCKED_AFTER = 5.0
"""Seconds without an answer after which a loop counts as blocked: an async function keeps it for itself."""


class Loop:
    """An asyncio loop on a daemon thread of its own."""

    def __init__(self) -> None:
        self._asked: float | None = None
        self._answered = time.monotonic()

    def start(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
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
        """Cancel what is left on the loop, and close it; one that is blocked is left to the end of the process."""
        if not self._loop.is_closed():
            self.call(self._loop.stop)
            self._thread.join(2 * END_SECONDS)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call `function` in the loop's thread, when the loop comes round."""
        self._loop.call_soon_threadsafe(function, *arguments)

    @property
    def is_asked(self) -> bool:
        """Whether a question whether it still turns is out."""
        return self._asked is not None

    @property
    def is_blocked(self) -> bool:
        """Whether the loop has not come round for 5 s.  Ask often: the question is sent along."""
        moment = time.monotonic()
        if self._asked is None and moment - self._answered > ASK_EVERY:
            self._asked = moment
            self.call(self._answer)
        return self._asked is not None and moment - self._asked > BLOCKED_AFTER

    def _answer(self) -> None:
        self._asked, self._answered = None, time.monotonic()
