"""Somebody who kills, freezes and restarts schedulers, reproducibly."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.support.sample.fleet import Fleet, pause_for


@dataclass(frozen=True, slots=True)
class Death:
    """A scheduler that was killed, and when it was certainly gone (seconds since 1970)."""

    pid: int
    at: float


class Disorder:
    """Always `count` schedulers, none of which is safe.  The same seed does the same things in the same order."""

    def __init__(self, fleet: Fleet, count: int, seed: int, freezes: Sequence[float]) -> None:
        self._fleet = fleet
        self._freezes = freezes
        self._random = random.Random(seed)
        self.processes = fleet.start_many(count)
        self._undisturbed_since = dict.fromkeys((process.pid for process in self.processes), time.time())
        self._undisturbed: list[tuple[float, float]] = []
        self.deaths: list[Death] = []
        self.story: list[str] = []
        self._began = time.monotonic()

    def go_on(self, seconds: float, pause: tuple[float, float] = (1.5, 3.5)) -> None:
        """Do harm for so many seconds, and kill before anything else."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            index = self._random.randrange(len(self.processes))
            action = self._random.choice([self._kill, self._kill, self._freeze, self._restart]) if self.deaths else self._kill
            self.story.append(f"{time.monotonic() - self._began:6.2f} {action.__name__.strip('_')} {self.processes[index].pid}")
            action(index)
            pause_for(min(self._random.uniform(*pause), max(deadline - time.monotonic(), 0)))

    def has_survivor(self, death: Death, seconds: float) -> bool:
        """Whether some scheduler ran from a death on for so long, neither frozen nor restarted nor without its database."""
        return any(since <= death.at and until >= death.at + seconds for since, until in self._undisturbed)

    def everybody_was_disturbed(self) -> None:
        """Call when the database is back."""
        for process in self.processes:
            self._disturb(process)

    def _disturb(self, process: subprocess.Popen[bytes]) -> None:
        self._undisturbed.append((self._undisturbed_since.pop(process.pid), time.time()))
        self._undisturbed_since[process.pid] = time.time()

    def end(self) -> None:
        """Stop all of them properly."""
        self.everybody_was_disturbed()
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            self._fleet.site.stop(process)

    def _kill(self, index: int) -> None:
        process = self.processes[index]
        self._disturb(process)
        self.deaths.append(Death(process.pid, self._fleet.kill(process)))
        self.processes[index] = self._start()

    def _freeze(self, index: int) -> None:
        """SIGSTOP for a while; sometimes for so long that others take the process for dead."""
        process = self.processes[index]
        self._disturb(process)
        process.send_signal(signal.SIGSTOP)
        pause_for(self._random.choice(self._freezes))
        process.send_signal(signal.SIGCONT)
        self._undisturbed_since[process.pid] = time.time()

    def _restart(self, index: int) -> None:
        self._disturb(self.processes[index])
        self._fleet.site.stop(self.processes[index])
        self.processes[index] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        """Somebody has to live long enough to find the dead: a machine that is too busy to start schedulers gets fewer blows."""
        process = self._fleet.start()
        self._undisturbed_since[process.pid] = time.time()
        return process
