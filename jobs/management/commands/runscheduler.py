"""`manage.py runscheduler`: run the schedule until told to stop."""

from __future__ import annotations

import gc
import time
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from jobs import conf
from jobs.checks import TAG
from jobs.engine.scheduler import Scheduler
from jobs.engine.signals import SignalWatch
from jobs.monitoring.probe_server import serve

GARBAGE_THRESHOLD = 20_000
"""Objects that have come without going, between two looks for cycles; Python's own default is 700, and costs 4 to 5 µs a run."""


class Command(BaseCommand):
    help = "Run the scheduler: SIGTERM or SIGINT lets running jobs complete (30 s at most); a second one ends at once."
    requires_system_checks = (TAG,)  # ours take a millisecond and need no database; all of Django's would import the site's pages

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--drain-seconds", type=float, default=30.0, help="how long running jobs may go on after a signal (default 30)")
        parser.add_argument("--once", action="store_true", help="do what is due, wait for it, and end")
        parser.add_argument(
            "--workers", type=_number_of_workers, metavar="N", help="worker processes for job functions; 0 runs them in this process (default: JOBS_WORKERS)"
        )
        parser.add_argument("--health-port", type=int, metavar="N", help="serve /livez, /readyz and /metrics on this port")

    def handle(self, *args: Any, **options: Any) -> None:
        workers = 0 if options["once"] else conf.workers() if options["workers"] is None else options["workers"]
        scheduler = Scheduler(version=conf.version(), drain_seconds=options["drain_seconds"], workers=workers, once=options["once"])
        SignalWatch(scheduler).start()
        if options["health_port"] is not None:
            self._serve_probes(options["health_port"], scheduler)
        self._wait_for_database(scheduler)
        if not scheduler.closing:
            self._look_for_garbage_less_often()
            scheduler.start()
        if scheduler.once and scheduler.backoff.failures:
            raise CommandError("the database failed; what was due is still due")

    @staticmethod
    def _look_for_garbage_less_often() -> None:
        """Runs leave no cycles behind, but hundreds of them at a time look to Python like garbage; what was imported stays for good."""
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD)

    @staticmethod
    def _serve_probes(port: int, scheduler: Scheduler) -> None:
        try:
            serve(port, lambda: scheduler.tick_age)
        except (OSError, OverflowError) as error:
            raise CommandError(f"--health-port {port}: {error}; choose a free port from 1 to 65535") from None

    def _wait_for_database(self, scheduler: Scheduler) -> None:
        """A database that is down delays the start; one without tables ends it."""
        while not scheduler.closing:
            try:
                self._require_tables()
            except (OperationalError, InterfaceError) as error:
                connection.close()
                time.sleep(scheduler.backoff.failed(error))
            else:
                return

    @staticmethod
    def _require_tables() -> None:
        executor = MigrationExecutor(connection)
        if missing := executor.migration_plan(executor.loader.graph.leaf_nodes()):
            first = missing[0][0]
            raise CommandError(f"the database lacks {len(missing)} migrations ({first.app_label}.{first.name}, …); run `manage.py migrate` first")
        connection.close()


def _number_of_workers(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= conf.MAX_WORKERS):
        raise ArgumentTypeError(f"{text!r} is not a number of workers; expected a whole number from 0 to {conf.MAX_WORKERS}")
    return int(text)
