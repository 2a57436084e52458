"""`/healthz` beside an empty Django view in the same gunicorn."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks.result import Result, at_least, at_most, milliseconds, percentile
from tests.benchmarks.rows import make_jobs
from tests.benchmarks.setup import Setup
from tests.support.waiting import wait_until

CLIENTS = 4


def measure(setup: Setup) -> list[Result]:
    make_jobs(setup.count(10_000, 100), 86_400, applied=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with setup.scheduler(), setup.started("-m", "gunicorn", "--config", "gunicorn.conf.py", "--bind", f"127.0.0.1:{port}", "--keep-alive", "30", "vsadmin.wsgi"):
        wait_until(lambda: _answers(port), 30, "gunicorn never answered")
        taken: dict[str, list[float]] = {"/empty": [], "/healthz": []}
        for path in taken:
            _load(port, path, setup.seconds(1, 0.5))  # the first request makes the site's views
        for _ in range(setup.count(4, 1)):  # turn by turn, so that both meet the same machine
            for path in taken:
                taken[path] += _load(port, path, setup.seconds(3, 1))
    empty, health = taken["/empty"], taken["/healthz"]
    rates = [CLIENTS / (sum(times) / len(times)) for times in (empty, health)]
    p99 = percentile(health, 0.99) / percentile(empty, 0.99)
    return [
        at_least("/healthz, times the throughput of an empty Django view", rates[1] / rates[0], 0.8, " ×", f"{rates[1]:,.0f}/s against {rates[0]:,.0f}/s"),
        at_most("/healthz, times the p99 of an empty view", p99, 3, " ×", f"{milliseconds(health)} ms against {milliseconds(empty)} ms"),
    ]


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _load(port: int, path: str, seconds: float) -> list[float]:
    with ThreadPoolExecutor(CLIENTS) as clients:
        return [taken for times in clients.map(lambda _number: _ask(port, path, seconds), range(CLIENTS)) for taken in times]


def _ask(port: int, path: str, seconds: float) -> list[float]:
    """One client on one connection that asks again as soon as it has its answer; the seconds that each answer took."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    times, deadline = [], time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        while (started := time.monotonic()) < deadline:
            connection.sendall(request)
            answer = connection.recv(65536)
            while not _is_complete(answer):
                answer += connection.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise AssertionError(answer.decode())
            times.append(time.monotonic() - started)
    return times


def _is_complete(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return body.endswith(b"0\r\n\r\n") if fields.get(b"transfer-encoding") == b"chunked" else len(body) >= int(fields[b"content-length"])
