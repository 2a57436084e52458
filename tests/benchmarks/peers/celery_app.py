"""A Celery app with one task that does nothing; the worker writes how often it has done so into a file."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

from celery import Celery
from celery.signals import worker_ready

app = Celery("peer", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    task_ignore_result=True,
    task_default_queue=os.environ["BENCH_QUEUE"],
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=16,
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    timezone="UTC",
)
_calls = count()


@app.task(name="peer.nothing")  # type: ignore[untyped-decorator]  # Celery has no types
def nothing() -> None:
    next(_calls)


@worker_ready.connect  # type: ignore[untyped-decorator]  # as above
def count_calls(**_: Any) -> None:
    def write() -> None:
        path, seen = Path(os.environ["BENCH_COUNT"]), 0
        while True:
            path.write_text(str(next(_calls) - seen))
            seen += 1
            sleep(0.25)

    Thread(target=write, daemon=True).start()
