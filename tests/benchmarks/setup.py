"""Where a benchmark runs: one fresh database, real processes, and what psutil says of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import psutil
from django.db import connection
from django.db.models import Max

from jobs.models import JobDefinition, JobRun, SchedulerInstance
from tests.benchmarks.environment import REPOSITORY, environment
from tests.support.waiting import wait_until

START_SECONDS = 120


def _processor_clock(pid: int) -> int:
    """The clock that counts a process' nanoseconds, as clock_getcpuclockid(3) makes it; /proc counts hundredths of a second, and idle ones have few."""
    return (~pid << 3) | 2


class Watched:
    """A process and what it has used; its children count as well."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self._psutil = psutil.Process(process.pid)

    @property
    def _family(self) -> list[psutil.Process]:
        return [self._psutil, *self._psutil.children(recursive=True)]

    @property
    def cpu_seconds(self) -> float:
        total = 0.0
        for process in self._family:
            with suppress(OSError):  # it has ended
                total += time.clock_gettime(_processor_clock(process.pid))
        return total

    @property
    def memory_mib(self) -> float:
        """Memory of the process and its children, with shared pages counted once."""
        return float(sum(process.memory_full_info().pss for process in self._family)) / 2**20

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


@dataclass(frozen=True, slots=True)
class Setup:
    """`quick` asks for a few seconds of each benchmark: enough to see that it works, too little to believe the numbers."""

    url: str
    folder: Path
    quick: bool
    peers: bool

    def seconds(self, full: float, quick: float = 2.0) -> float:
        return quick if self.quick else full

    def count(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @property
    def vendor(self) -> str:
        return str(connection.vendor)

    @contextmanager
    def started(self, *command: str, **variables: str) -> Iterator[Watched]:
        """A process for as long as the block lasts, with its output in a file."""
        with NamedTemporaryFile(dir=self.folder, prefix="output-", suffix=".log") as log:
            variables = environment(self.url) | variables
            process = subprocess.Popen([sys.executable, *command], cwd=REPOSITORY, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            watched = Watched(process, Path(log.name))
            try:
                yield watched
            finally:
                watched.stop()

    @contextmanager
    def scheduler(self, *arguments: str, **variables: str) -> Iterator[Watched]:
        """`manage.py runscheduler`, after its first tick and with every definition applied."""
        with self.started("manage.py", "runscheduler", *arguments, **variables) as watched:
            wait_until(lambda: ticked(watched), START_SECONDS, "the scheduler never completed a tick")
            wait_until(lambda: not JobDefinition.objects.unapplied().exists(), START_SECONDS, "the definitions were never applied")
            yield watched


def ticked(watched: Watched) -> bool:
    if watched.process.poll() is not None:
        raise AssertionError(f"the process ended with {watched.process.returncode}")
    return SchedulerInstance.objects.filter(pid=watched.process.pid, last_tick_at__isnull=False).exists()


@dataclass(slots=True)
class Window:
    """A span of time during which a scheduler was watched, and the runs that were inserted in it."""

    first_id: int
    last_id: int
    seconds: float
    cpu_seconds: float

    @property
    def recorded(self) -> int:
        """Runs of the window that have succeeded by now."""
        return JobRun.objects.filter(pk__gt=self.first_id, pk__lte=self.last_id, status="succeeded").count()

    def lateness(self, start: float = 0.0, end: float = 1.0) -> list[float]:
        """Seconds from slot to start of some 50,000 runs between two shares of the window; a run for several slots counts from the first of them."""
        first, last = (self.first_id + int(share * (self.last_id - self.first_id)) for share in (start, end))
        runs = JobRun.objects.filter(pk__gt=first, pk__lte=last, started_at__isnull=False, cause="schedule").order_by("pk")
        step = max((last - first) // 50_000, 1)
        rows = runs.extra(where=[f"jobs_jobrun.id %% {step} = 0"]) if step > 1 else runs
        values = rows.values_list("started_at", "scheduled_for", "slots", "job__interval_seconds")
        return [(started - slot).total_seconds() + (slots - 1) * interval for started, slot, slots, interval in values if started]


def last_run() -> int:
    return JobRun.objects.aggregate(last=Max("pk"))["last"] or 0


def watch(processes: list[Watched], seconds: float) -> Window:
    """Let the processes work for some seconds."""
    first, cpu, started = last_run(), sum(process.cpu_seconds for process in processes), time.monotonic()
    time.sleep(seconds)
    used = sum(process.cpu_seconds for process in processes) - cpu
    return Window(first, last_run(), time.monotonic() - started, used)
