"""Keeps one thread of a web process free for the probes while the others hang in the database.

A hanging database takes a thread for each request that needs it; with the last one the probes would fall silent too.
So when all but one are busy and none has got anything done for half a second, further requests are refused at once.
A process that is merely busy finishes requests all the time, and refuses none.
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


class Room:
    """How many requests are being worked on, and when one was last finished.  `threads` None: no limit is known."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._busy = 0
        self._moved_at = time.monotonic()

    def enter(self) -> bool:
        """Take a place; False when the last one has to stay free."""
        with self._lock:
            moment = time.monotonic()
            if not self._busy:
                self._moved_at = moment
            if self.threads and self._busy >= self.threads - 1 and moment - self._moved_at > STALLED_AFTER_SECONDS:
                return False
            self._busy += 1
        return True

    def leave(self) -> None:
        with self._lock:
            self._busy -= 1
            self._moved_at = time.monotonic()


room = Room()
"""Of this process; `gunicorn.conf.py` says how many threads it has."""


@sync_and_async_middleware
def leave_room_for_probes(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Refuse a request that would hang in the last free thread."""
    if iscoroutinefunction(get_response):

        async def pass_on(request: HttpRequest) -> HttpResponseBase:
            # An ASGI server answers probes in threads of their own.
            return await cast("Awaitable[HttpResponseBase]", get_response(request))

        return pass_on

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not room.enter():
            refusal = problems.problem(request, 503, "SERVER_STALLED", "requests hang, probably in the database; try again later")
            refusal["Retry-After"] = "5"
            return refusal
        try:
            return cast("HttpResponseBase", get_response(request))
        finally:
            room.leave()

    return answer
