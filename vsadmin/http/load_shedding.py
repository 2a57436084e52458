"""Refuses requests so that one thread of a gunicorn worker stays free for the probes while the database hangs.

Each request that waits for a hanging database occupies a thread; without a limit the last thread would hang too, and
`/healthz` with it.  A request is refused when only one thread is free and no request has finished for half a second.
A process that is busy but not stalled finishes requests all the time, and refuses none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from vsadmin.api import problems

STALLED_AFTER_SECONDS = 0.5


class LoadShedder:
    """Counts the requests in progress and notes when one last finished.  `threads` None: the limit is unknown, and nothing is refused."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._in_progress = 0
        self._progress_at = time.monotonic()

    def admit(self) -> bool:
        """Count one request more; False when it has to be refused."""
        with self._lock:
            now = time.monotonic()
            if not self._in_progress:
                self._progress_at = now
            if self.threads and self._in_progress >= self.threads - 1 and now - self._progress_at > STALLED_AFTER_SECONDS:
                return False
            self._in_progress += 1
        return True

    def release(self) -> None:
        with self._lock:
            self._in_progress -= 1
            self._progress_at = time.monotonic()


load_shedder = LoadShedder()
"""Of this process; `gunicorn.conf.py` sets the number of its threads."""


@sync_and_async_middleware
def shed_load(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Refuse a request that would hang in the last free thread."""
    if iscoroutinefunction(get_response):

        async def pass_on(request: HttpRequest) -> HttpResponseBase:
            # Under ASGI `health.middleware` answers probes in threads outside of the shared one.
            return await cast("Awaitable[HttpResponseBase]", get_response(request))

        return pass_on

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not load_shedder.admit():
            refusal = problems.problem(request, 503, "SERVER_STALLED", "requests are stalled, probably by the database; try again later")
            refusal["Retry-After"] = "5"
            return refusal
        try:
            return cast("HttpResponseBase", get_response(request))
        finally:
            load_shedder.release()

    return answer
