"""Refuses requests so that one thread of a gunicorn worker stays free for the probes while the database hangs.

Each request that waits for a hanging database occupies a thread; without a limit the last thread would hang too, and
`/healthz` with it.  A request is refused when only one thread is free and no request has finished for half a second.
A process that is busy finishes requests all the time.  On a machine that is busy with other things it may finish none for
as long: before the first refusal the threads are watched for a moment, and a thread that uses the processor does not hang.
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
LOOK_SECONDS = 0.2
"""The first request that would take the last thread waits this long, to see whether the others work or hang."""

WORKING_SECONDS = 0.001
"""Of processor time that the threads of the other requests use while they are looked at, if they do not hang."""


class LoadShedder:
    """Counts the requests in progress and notes when one last finished.  `threads` None: the limit is unknown, and nothing is refused."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._in_progress: set[int] = set()
        """The threads."""
        self._progress_at = time.monotonic()
        self._is_stalled = False

    def admit(self) -> bool:
        """Count the request of this thread; False when it has to be refused."""
        with self._lock:
            if not self._in_progress:
                self._note_progress()
            if self._may_take_thread():
                return self._take_thread()
            if self._is_stalled:
                return False
            self._is_stalled = True  # for the requests that come while this one waits
            used, seen_at = self._processor_seconds(), self._progress_at
        time.sleep(LOOK_SECONDS)
        with self._lock:
            if self._progress_at == seen_at and self._processor_seconds() - used < WORKING_SECONDS:
                return False
            self._note_progress()
            return self._take_thread()

    def release(self) -> None:
        with self._lock:
            self._in_progress.discard(threading.get_ident())
            self._note_progress()

    def _may_take_thread(self) -> bool:
        is_last = self.threads is not None and len(self._in_progress) >= self.threads - 1
        return not is_last or time.monotonic() - self._progress_at <= STALLED_AFTER_SECONDS

    def _take_thread(self) -> bool:
        self._in_progress.add(threading.get_ident())
        return True

    def _note_progress(self) -> None:
        self._progress_at = time.monotonic()
        self._is_stalled = False

    def _processor_seconds(self) -> float:
        """Of all threads with requests, since each was started; 0 where the system cannot tell.

        A thread that has a request is alive, as the call demands.
        """
        if not hasattr(time, "pthread_getcpuclockid"):
            return 0.0
        return sum(time.clock_gettime(time.pthread_getcpuclockid(thread)) for thread in self._in_progress)


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
