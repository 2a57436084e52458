"""A real scheduler without workers, on a thread of the test process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from jobs.engine.scheduler import Scheduler
from jobs.models import CODE, JobDefinition
from tests.support.waiting import wait_until


@contextmanager
def running_scheduler(threads: int = 10, drain_seconds: float = 5.0) -> Iterator[Scheduler]:
    """Run a scheduler for the length of the block, then stop it and wait for the end of all its threads.

    The default jobs are archived, because they would use its threads.
    """
    for definition in JobDefinition.objects.register_defaults():
        definition.archive(CODE)
    scheduler = Scheduler(threads=threads, drain_seconds=drain_seconds)
    before = _own_threads()

    def serve() -> None:
        try:
            scheduler.start()
        finally:
            connections.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        wait_until(scheduler.ticked.is_set)
        yield scheduler
    finally:
        scheduler.stop()
        thread.join(20)
        wait_until(lambda: _own_threads() <= before, message="a thread of the scheduler goes on")


def _own_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("jobs-")}
