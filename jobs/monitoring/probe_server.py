"""A scheduler's own HTTP server for `/livez`, `/readyz` and `/metrics`.

from jobs.monitoring.probe_server import serve
server = serve(8001, scheduler.tick_age)
…
server.shutdown()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from django.db import DatabaseError, connections
from django.utils.module_loading import import_string

from jobs import conf
from jobs.monitoring.deadline import DeadlineCheck
from jobs.monitoring.exposition import OPENMETRICS, TEXT, compress, negotiate
from jobs.monitoring.readiness import why_not_ready

STUCK_AFTER_SECONDS = 30.0
READY_DEADLINE_SECONDS = 1.5
METRICS_DEADLINE_SECONDS = 8.0

TickAge = Callable[[], float]


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


UNREACHABLE = ProbeResponse(503, b"the database is out of reach\n")
NO_KEY = ProbeResponse(401, b"send an API key in the header X-API-Key or as Authorization: Bearer\n")
TOO_MANY = ProbeResponse(429, b"too many requests, or too many failed attempts by this address; wait a minute\n", headers={"Retry-After": "60"})
NOT_FOUND = ProbeResponse(404, b"the paths are /livez, /readyz and /metrics\n")


class ProbeServer(ThreadingHTTPServer):
    """Answers each request in its own thread, so that a hanging database never delays `/livez`."""

    daemon_threads = True

    def __init__(self, host: str, port: int, tick_age: TickAge) -> None:
        self.tick_age = tick_age
        self._ready = DeadlineCheck("readiness", lambda: why_not_ready() or "")
        self._metrics = {exposition: DeadlineCheck("metrics", exposition.body) for exposition in (TEXT, OPENMETRICS)}
        super().__init__((host, port), Handler)

    def livez(self, _headers: Mapping[str, str], _peer: str) -> ProbeResponse:
        """503 when the scheduler's loop is stuck.  Does not query the database: a restart of the scheduler would not repair it."""
        age = self.tick_age()
        alive = age < STUCK_AFTER_SECONDS
        return ProbeResponse(200 if alive else 503, f"{'ok' if alive else 'stuck'}: the last tick was {age:.1f} s ago\n".encode())

    def readyz(self, _headers: Mapping[str, str], _peer: str) -> ProbeResponse:
        """503 when the database does not answer or lacks a migration."""
        problem = self._ready.result(time.monotonic() + READY_DEADLINE_SECONDS)
        if problem is None:
            return UNREACHABLE
        return ProbeResponse(503, f"{problem}\n".encode()) if problem else ProbeResponse(200, b"ok\n")

    def metrics(self, headers: Mapping[str, str], peer: str) -> ProbeResponse:
        """The same text as the web server's, if the function that `settings.JOBS_METRICS_GUARD` names allows it; without one, always."""
        try:
            status = _metrics_status(headers, peer)
        except DatabaseError:
            return UNREACHABLE
        if status != 200:
            return TOO_MANY if status == 429 else NO_KEY
        exposition = negotiate(headers.get("Accept", ""))
        text = self._metrics[exposition].result(time.monotonic() + METRICS_DEADLINE_SECONDS)
        if text is None:
            return UNREACHABLE
        body, more_headers = compress(text, headers.get("Accept-Encoding", ""))
        return ProbeResponse(200, body, exposition.content_type, more_headers)


def _metrics_status(headers: Mapping[str, str], peer: str) -> int:
    """200, 401 or 429."""
    path = conf.metrics_guard()
    try:
        return int(import_string(path)(headers, peer)) if path else 200
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
        response = probe(cast("Mapping[str, str]", self.headers), self.client_address[0]) if probe else NOT_FOUND
        self.send_response(response.status)
        own_headers = {"Content-Type": response.content_type, "Content-Length": str(len(response.body)), "Cache-Control": "no-store"}
        for name, value in {**own_headers, **response.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    do_HEAD = do_GET  # noqa: N815 -- http.server prescribes the name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server prescribes the name
        """Log nothing: a probe every second would fill the log."""


def serve(port: int, tick_age: TickAge, host: str = "0.0.0.0") -> ProbeServer:  # noqa: S104 -- a kubelet connects to the pod's address; metrics need a key
    """Serve the probes from a background thread until `shutdown()`; raises OSError when the port is taken.

    `tick_age` returns the seconds since the last completed tick, by a monotonic clock.
    """
    server = ProbeServer(host, port, tick_age)
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server
