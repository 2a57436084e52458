"""Celery beat with django-celery-beat, and a worker: `python -m tests.benchmarks.peers.celery_beat JOBS SECONDS`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psutil

THREADS = 10
WARM_UP_SECONDS = 6.0
CELERY = [sys.executable, "-m", "celery", "--app", "tests.benchmarks.peers.celery_app"]


def make_tasks(jobs: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

    call_command("migrate", verbosity=0)
    every_second, _made = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.bulk_create([PeriodicTask(name=f"peer{number}", task="peer.nothing", interval=every_second) for number in range(jobs)], batch_size=500)
    PeriodicTasks.update_changed()


def start(*arguments: str) -> psutil.Popen:
    return psutil.Popen([*CELERY, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cpu_seconds(processes: list[psutil.Popen]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def main(jobs: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "count"
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.peers.celery_settings", "BENCH_COUNT": str(path), "BENCH_QUEUE": f"bench-{uuid4().hex[:8]}"}
        make_tasks(jobs)
        processes = [start("worker", "--pool", "threads", "--concurrency", str(THREADS), "--loglevel", "WARNING", "--without-gossip", "--without-mingle")]
        processes.append(start("beat", "--loglevel", "WARNING", "--max-interval", "1"))
        try:
            while not path.exists():
                time.sleep(0.1)
            time.sleep(WARM_UP_SECONDS)
            calls, cpu, started = int(path.read_text() or 0), cpu_seconds(processes), time.monotonic()
            time.sleep(seconds)
            result = {"runs": int(path.read_text() or 0) - calls, "cpu_seconds": cpu_seconds(processes) - cpu, "seconds": time.monotonic() - started}
        finally:
            for process in processes:
                process.kill()
            from tests.benchmarks.peers.celery_app import app

            with app.connection_for_write() as broker:
                broker.default_channel.queue_delete(os.environ["BENCH_QUEUE"])
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
