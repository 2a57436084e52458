"""Starts the peers and reads what they achieved."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass

from tests.benchmarks.environment import REPOSITORY, environment
from tests.benchmarks.setup import Setup

BROKERS = {6379: "redis://127.0.0.1:6379/9", 5672: "amqp://guest:guest@127.0.0.1:5672//"}
JOBS = {"memory": 10_000, "sqlalchemy": 1_000, "django": 1_000, "django_as_many": 10_000, "celery": 1_000, "procrastinate": 1_000}
"""Jobs of one second: as many as ours where it keeps up, otherwise some more than it can do; the stock store is tried with both."""


@dataclass(frozen=True, slots=True)
class Achieved:
    """The work of a peer in one measurement."""

    name: str
    jobs: int
    runs: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.runs / self.seconds

    @property
    def cpu_per_run(self) -> float:
        """Microseconds."""
        return self.cpu_seconds / max(self.runs, 1) * 1e6


def broker() -> str | None:
    """A message broker for Celery: `VS_BENCH_BROKER`, Redis or RabbitMQ on this machine, or none."""
    if promised := os.environ.get("VS_BENCH_BROKER"):
        return promised
    return next((url for port, url in BROKERS.items() if _listens(port)), None)


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex(("127.0.0.1", port)) == 0


def run_peer(setup: Setup, name: str, seconds: float) -> Achieved | None:
    """Let a peer work on the benchmark's database; None when it cannot."""
    jobs = setup.count(JOBS[name], 50)
    variables = environment(setup.url)
    if name == "celery":
        if (url := broker()) is None:
            return None
        module, arguments = "celery_beat", [str(jobs)]
        variables["BENCH_BROKER"] = url
    elif name == "procrastinate":
        if setup.vendor != "postgresql":
            return None
        module, arguments = "procrastinate_periodic", [str(jobs)]
    else:
        module, arguments = "apscheduler_stores", [name.removesuffix("_as_many"), str(jobs)]
    command = [sys.executable, "-m", f"tests.benchmarks.peers.{module}", *arguments, str(seconds)]
    with (setup.folder / f"{name}.log").open("wb") as log:
        done = subprocess.run(command, cwd=REPOSITORY, env=variables, stdout=subprocess.PIPE, stderr=log, timeout=180 + seconds, check=False)
    lines = done.stdout.decode().splitlines()
    if done.returncode or not lines:
        sys.stderr.write(f"bench: the peer {name} ended with {done.returncode}: {(setup.folder / f'{name}.log').read_text(errors='replace')[-600:]}\n")
        return None
    return Achieved(name, jobs, **json.loads(lines[-1]))
