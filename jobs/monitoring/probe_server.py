"""A scheduler's own probe server: `/livez`, `/readyz` and `/metrics` from the process that does the work.

from jobs.monitoring.probe_server import serve
server = serve(8001, scheduler.tick_age)
…
server.shutdown()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from django.conf import settings
from django.db import DatabaseError, connections
from django.utils.module_loading import import_string

from jobs.monitoring.deadline import DeadlineCheck
from jobs.monitoring.metrics import CONTENT_TYPE, exposition
from jobs.monitoring.readiness import why_not_ready

ALIVE_FOR_SECONDS = 30.0
READY_DEADLINE_SECONDS = 1.5
METRICS_DEADLINE_SECONDS = 8.0
TEXT = "text/plain; charset=utf-8"

TickAge = Callable[[], float]
Answer = tuple[int, str, str]


class ProbeServer(ThreadingHTTPServer):
    """Answers each probe in a thread of its own, so that a hanging database holds up none of the others."""

    daemon_threads = True

    def __init__(self, host: str, port: int, tick_age: TickAge) -> None:
        self.tick_age = tick_age
        self._ready = DeadlineCheck("readiness", lambda: why_not_ready() or "")
        self._metrics = DeadlineCheck("metrics", exposition)
        super().__init__((host, port), Handler)

    def livez(self, _headers: Mapping[str, str]) -> Answer:
        """The scheduler's loop goes round.  Asks nobody else: a database that is down is no reason to restart it."""
        age = self.tick_age()
        alive = age < ALIVE_FOR_SECONDS
        return 200 if alive else 503, f"{'ok' if alive else 'stuck'}: the last tick was {age:.1f} s ago\n", TEXT

    def readyz(self, _headers: Mapping[str, str]) -> Answer:
        """The database answers and has every migration."""
        problem = self._ready.answer(time.monotonic() + READY_DEADLINE_SECONDS)
        if problem is None:
            problem = "the database is out of reach"
        return (503, f"{problem}\n", TEXT) if problem else (200, "ok\n", TEXT)

    def metrics(self, headers: Mapping[str, str]) -> Answer:
        """Prometheus' text, for whom `settings.JOBS_METRICS_GUARD` lets in; without one, for everybody."""
        try:
            allowed = _may_read_metrics(headers)
        except DatabaseError:
            return 503, "the database is out of reach\n", TEXT
        if not allowed:
            return 401, "a key is needed, in the header X-API-Key or as Authorization: Bearer\n", TEXT
        text = self._metrics.answer(time.monotonic() + METRICS_DEADLINE_SECONDS)
        return (503, "the database is out of reach\n", TEXT) if text is None else (200, text, CONTENT_TYPE)


def _may_read_metrics(headers: Mapping[str, str]) -> bool:
    path = getattr(settings, "JOBS_METRICS_GUARD", "")
    try:
        return not path or bool(import_string(path)(headers))
    finally:
        connections.close_all()  # this thread answers one request and ends


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the three paths."""

    server: ProbeServer
    timeout = 10  # seconds that a client may take for its request
    server_version, sys_version = "scheduler", ""

    def do_GET(self) -> None:
        probes = {"/livez": self.server.livez, "/readyz": self.server.readyz, "/metrics": self.server.metrics}
        probe = probes.get(self.path.partition("?")[0])
        status, text, content_type = probe(cast("Mapping[str, str]", self.headers)) if probe else (404, "here are /livez, /readyz and /metrics\n", TEXT)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 -- http.server names it

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server names it
        """Say nothing: a probe every second would fill the log."""


def serve(port: int, tick_age: TickAge, host: str = "0.0.0.0") -> ProbeServer:  # noqa: S104 -- a probe asks the pod's address; metrics need a key
    """Serve the probes from a thread until `shutdown()`; `tick_age` says how many seconds ago, by a monotonic clock, the last tick was completed.

    Raises OSError when the port is taken.
    """
    server = ProbeServer(host, port, tick_age)
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server
