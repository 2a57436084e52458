"""Kills, freezes and restarts schedulers and their workers, reproducibly."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.support.sample.schedulers import Schedulers, workers_of
from tests.support.waiting import let_pass, wait_until


@dataclass(frozen=True, slots=True)
class Death:
    """A scheduler or a worker that was killed, and the time at which it had ended (seconds since 1970)."""

    pid: int
    at: float
    executors: frozenset[int]
    """The processes that executed its runs: those of a scheduler's workers and runs, or the worker itself."""


class ChaosMonkey:
    """Keeps `count` schedulers running and disturbs them at random.  The same seed does the same things in the same order."""

    def __init__(self, schedulers: Schedulers, count: int, seed: int, freezes: Sequence[float]) -> None:
        self._schedulers = schedulers
        self._freezes = freezes
        self._random = random.Random(seed)
        self.processes = schedulers.start_many(count)
        self._undisturbed_since = dict.fromkeys((process.pid for process in self.processes), time.time())
        self._undisturbed: list[tuple[int, float, float]] = []
        self.deaths: list[Death] = []
        """Of schedulers."""
        self.worker_deaths: list[Death] = []
        """`pid` is the worker's scheduler."""
        self.actions: list[str] = []
        self._began = time.monotonic()

    def disturb(self, seconds: float, pause: tuple[float, float] = (1.5, 3.5)) -> None:
        """Disturb random schedulers for this long, or on a slow machine until both a scheduler, the first, and then a worker were killed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or not (self.deaths and self.worker_deaths):
            index = self._random.randrange(len(self.processes))
            action = self._choose()
            self.actions.append(f"{time.monotonic() - self._began:6.2f} {action.__name__.strip('_')} {self.processes[index].pid}")
            action(index)
            rest = max(deadline - time.monotonic(), 0)
            let_pass(min(self._random.uniform(*pause), rest), because="actions at random times hit a scheduler at any step of its tick")

    def _choose(self) -> Callable[[int], None]:
        if not self.deaths:
            return self._kill
        if not self.worker_deaths:
            return self._kill_worker
        return self._random.choice([self._kill, self._kill, self._freeze, self._restart, *[self._kill_worker] * 3, self._freeze_worker])

    def has_survivor(self, death: Death, seconds: float) -> bool:
        """Whether some scheduler ran undisturbed for this long after a death: not frozen, not restarted, and with a database."""
        return any(since <= death.at and until >= death.at + seconds for _pid, since, until in self._undisturbed)

    def was_undisturbed(self, death: Death, seconds: float) -> bool:
        """Whether the scheduler of a dead worker ran undisturbed for this long after the death."""
        return any(pid == death.pid and since <= death.at and until >= death.at + seconds for pid, since, until in self._undisturbed)

    def note_outage(self) -> None:
        """Count every scheduler as disturbed now; call it when the database is back."""
        for process in self.processes:
            self._note_disturbance(process)

    def _note_disturbance(self, process: subprocess.Popen[bytes]) -> None:
        self._undisturbed.append((process.pid, self._undisturbed_since.pop(process.pid), time.time()))
        self._undisturbed_since[process.pid] = time.time()

    def end(self) -> None:
        """Stop all schedulers with SIGTERM."""
        self.note_outage()
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            self._schedulers.site.stop(process)

    def _kill(self, index: int) -> None:
        process = self.processes[index]
        self._note_disturbance(process)
        executors = frozenset([process.pid, *workers_of(process)])
        self.deaths.append(Death(process.pid, self._schedulers.kill(process), executors))
        self.processes[index] = self._start()

    def _freeze(self, index: int) -> None:
        """Send SIGSTOP for a while; the longest time makes other schedulers take the process for dead."""
        process = self.processes[index]
        self._note_disturbance(process)
        process.send_signal(signal.SIGSTOP)
        let_pass(self._random.choice(self._freezes), because="a frozen process is told from a dead one by time alone")
        process.send_signal(signal.SIGCONT)
        self._undisturbed_since[process.pid] = time.time()

    def _kill_worker(self, index: int) -> None:
        process = self.processes[index]
        if not self.worker_deaths:
            wait_until(lambda: workers_of(process), 30, "a scheduler has started no worker")
        for worker in self._any_worker(process):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                self.worker_deaths.append(Death(process.pid, time.time(), frozenset([worker])))

    def _freeze_worker(self, index: int) -> None:
        for worker in self._any_worker(self.processes[index]):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGSTOP)
                let_pass(self._random.choice(self._freezes), because="a frozen worker is told from a held one by time alone")
                os.kill(worker, signal.SIGCONT)

    def _any_worker(self, process: subprocess.Popen[bytes]) -> list[int]:
        """A worker, or the process of a single run; none while the first are being started."""
        workers = sorted(workers_of(process))
        return self._random.sample(workers, min(len(workers), 1))

    def _restart(self, index: int) -> None:
        self._note_disturbance(self.processes[index])
        self._schedulers.site.stop(self.processes[index])
        self.processes[index] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        """Wait for the first tick; otherwise, on a busy machine, no scheduler lives long enough to reap the dead ones."""
        process = self._schedulers.start()
        self._undisturbed_since[process.pid] = time.time()
        return process
