"""Child processes that end together."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from devtools.environment import REPOSITORY
from devtools.say import say, stop

DRAIN_SECONDS = 30
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEAN = (0, -signal.SIGTERM)
"""Exit codes after SIGTERM; a process that is still importing has no handler yet."""


class Processes:
    """Child processes in their own process groups: a signal to us reaches each once, and none outlives us."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._signals = 0

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Within this block the first signal stops all processes and the second kills them; none is alive afterwards."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            self._stop_all()

    def start(self, name: str, command: Sequence[str], stdout: int | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=self.environment, stdin=subprocess.DEVNULL, stdout=stdout, start_new_session=True)
        self._running[name] = process
        return process

    def start_until_ready(self, name: str, command: Sequence[str], timeout: float) -> None:
        """Start a process and wait until it prints the line `ready`."""
        process = self.start(name, command, stdout=subprocess.PIPE)
        ready = threading.Event()
        threading.Thread(target=_relay, args=(process, ready), daemon=True).start()
        deadline = time.monotonic() + timeout
        while not ready.wait(0.05) and self._signals == 0:
            if process.poll() is not None:
                stop(f"the {name} ended with {process.returncode} before it was ready")
            if time.monotonic() > deadline:
                stop(f"the {name} was not ready after {timeout:g} s")

    def all_well(self) -> bool:
        """Whether we got no signal and every process is alive."""
        return self._signals == 0 and all(process.poll() is None for process in self._running.values())

    def wait(self) -> int:
        """Wait for a signal (0 after a clean stop) or for the end of any process (1)."""
        while self.all_well():
            time.sleep(0.1)
        if self._signals == 0:
            for name, process in self._running.items():
                if process.poll() is not None:
                    say(f"the {name} has ended with {process.returncode}; stopping the rest")
            self._stop_all()
            return 1
        say("stopping; press Ctrl-C again to kill")
        return self._stop_all()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _stop_all(self) -> int:
        deadline = time.monotonic() + DRAIN_SECONDS
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        while time.monotonic() < deadline and self._signals < 2 and any(process.poll() is None for process in self._running.values()):
            time.sleep(0.05)
        killed = [name for name, process in self._running.items() if process.poll() is None]
        for process in self._running.values():
            _kill_group(process)
        for name in killed:
            say(f"killed the {name}")
        code = 1 if killed or any(process.returncode not in CLEAN for process in self._running.values()) else 0
        self._running.clear()
        return code


def _relay(process: subprocess.Popen[bytes], ready: threading.Event) -> None:
    # Read to the end: a process blocks on a full pipe.
    for line in process.stdout or ():
        if line.strip() == b"ready":
            ready.set()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # A process group can outlive its leader.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
