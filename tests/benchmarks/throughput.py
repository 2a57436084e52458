"""Recorded runs a second and processor time a run with 10,000 jobs of one second, beside the peers."""

from __future__ import annotations

import time

from tests.benchmarks.peers.run import Achieved, run_peer
from tests.benchmarks.result import Result, at_least, at_most, milliseconds, percentile, plain
from tests.benchmarks.rows import make_jobs, remove_jobs
from tests.benchmarks.setup import Setup, Window, watch

PEERS = {
    "memory": "APScheduler, MemoryJobStore (records nothing)",
    "sqlalchemy": "APScheduler, SQLAlchemyJobStore",
    "django": "stock DjangoJobStore",
    "django_as_many": "stock DjangoJobStore, with as many jobs",
    "celery": "Celery beat + django-celery-beat + worker (records nothing)",
    "procrastinate": "procrastinate's periodic tasks",
}
TIMES_STOCK = {"sqlite": 13, "postgresql": 30}


def measure(setup: Setup) -> list[Result]:
    peers = {name: run_peer(setup, name, setup.seconds(10)) for name in PEERS} if setup.peers else {}
    jobs = setup.count(10_000, 500)
    window = _work(setup, jobs, setup.seconds(60))
    ours = _achieved(jobs, window)
    lateness, early, late = window.lateness(), window.lateness(0, 0.25), window.lateness(0.75, 1)
    growth = percentile(late, 0.5) - percentile(early, 0.5)
    most = _achieved(2 * jobs, _work(setup, 2 * jobs, setup.seconds(15)))
    results = [
        at_least(f"recorded runs a second, {jobs:,} jobs of 1 s", ours.rate, jobs * 0.99, "/s", f"{window.seconds:.0f} s, {ours.runs:,} runs"),
        at_most("their lateness, p99", percentile(lateness, 0.99) * 1000, 200, " ms", milliseconds(lateness)),
        at_most("their lateness, growth of the median over the run", growth * 1000, 20, " ms"),
        plain(f"recorded runs a second, {2 * jobs:,} jobs of 1 s: more than it can do", most.rate, "/s", f"{most.cpu_per_run:.0f} µs a run"),
    ]
    return results + _beside(setup, ours, most, peers)


def _work(setup: Setup, jobs: int, seconds: float) -> Window:
    remove_jobs()  # those of a peer, or of the window before
    make_jobs(jobs, 1, applied=False)
    with setup.scheduler() as scheduler:
        time.sleep(setup.seconds(5, 1))
        return watch([scheduler], seconds)


def _achieved(jobs: int, window: Window) -> Achieved:
    return Achieved("vsadmin", jobs, window.recorded, window.seconds, window.cpu_seconds)


def _beside(setup: Setup, ours: Achieved, most: Achieved, peers: dict[str, Achieved | None]) -> list[Result]:
    results = []
    memory = peers.get("memory")
    stock = max((peer for name, peer in peers.items() if name.startswith("django") and peer), key=lambda peer: peer.rate, default=None)
    if memory:
        note = f"{ours.cpu_per_run:.0f} µs against {memory.cpu_per_run:.0f} µs"
        results.append(at_most("CPU per recorded run, times MemoryJobStore's", ours.cpu_per_run / memory.cpu_per_run, 2, " ×", note))
    else:
        results.append(plain("CPU per recorded run", ours.cpu_per_run, " µs"))
    if stock:
        best = max(ours, most, key=lambda achieved: achieved.rate)
        note = f"{best.rate:,.0f}/s with {best.jobs:,} jobs against {stock.rate:,.0f}/s with {stock.jobs:,}, the best of each"
        results.append(at_least("throughput, times stock DjangoJobStore's", best.rate / max(stock.rate, 1e-9), TIMES_STOCK[setup.vendor], " ×", note))
    for name, title in PEERS.items():
        if peer := peers.get(name):
            results.append(plain(f"peer: {title}", peer.rate, "/s", f"{peer.cpu_per_run:,.0f} µs a run, {peer.jobs:,} jobs of 1 s"))
        elif peers:
            results.append(Result(f"peer: {title}", "not measured here"))
    return results
