"""APScheduler with one of its stores: `python -m tests.benchmarks.peers.apscheduler_stores STORE JOBS SECONDS` (memory, sqlalchemy or django)."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

THREADS = 10
WARM_UP_SECONDS = 3.0
_calls = count()


def nothing() -> None:
    """The same as our own job does; counted, because only the Django store keeps a history, and a wrong one."""
    next(_calls)


def make_store(name: str) -> Any:
    if name == "memory":
        return MemoryJobStore()
    if name == "django":
        import django

        django.setup()
        from django_apscheduler.jobstores import DjangoJobStore

        return DjangoJobStore()
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore

    return SQLAlchemyJobStore(url=os.environ["VS_DATABASE_URL"].replace("postgres://", "postgresql+psycopg://"))


def main(store: str, jobs: int, seconds: float) -> None:
    # Its INFO lines cost more than a claim, so a user who needs speed turns them off.
    logging.getLogger("apscheduler").setLevel(logging.WARNING if store == "memory" else logging.CRITICAL)
    scheduler = BackgroundScheduler(jobstores={"default": make_store(store)}, executors={"default": ThreadPoolExecutor(THREADS)}, timezone=UTC)
    scheduler.start(paused=True)
    scheduler.remove_all_jobs()  # of another peer on the same database
    base = datetime.now(UTC) + timedelta(seconds=1 + jobs * (0.0005 if store == "memory" else 0.003))
    for number in range(jobs):
        start = base + timedelta(seconds=number / jobs)
        scheduler.add_job(nothing, IntervalTrigger(seconds=1, start_date=start), id=f"peer{number}", misfire_grace_time=None, coalesce=True)
    scheduler.resume()
    time.sleep(max((base - datetime.now(UTC)).total_seconds(), 0) + WARM_UP_SECONDS)
    calls, cpu, started = next(_calls), time.process_time(), time.monotonic()
    time.sleep(seconds)
    result = {"runs": next(_calls) - calls - 1, "cpu_seconds": time.process_time() - cpu, "seconds": time.monotonic() - started}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)  # its own shutdown waits for threads that a saturated store keeps busy for minutes


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
