"""Job functions for tests.  None has a schedule of its own, so none makes a definition by itself."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from jobs.models import JobDefinition
from jobs.registry import current_run, job
from tests.support.sample.execution_log import note

FOREVER = 3600.0


def nap(seconds: float) -> None:
    if seconds:
        threading.Event().wait(seconds)


@job("sample_work")
def work(seconds: float = 0.0) -> dict[str, float]:
    note("start")
    nap(seconds)
    note("end")
    return {"seconds": seconds}


@job("sample_work_async")
async def work_async(seconds: float = 0.0) -> dict[str, float]:
    note("start")
    await asyncio.sleep(seconds)
    note("end")
    return {"seconds": seconds}


@job("sample_fail")
def fail() -> None:
    note("start")
    raise RuntimeError("it went wrong, as it should")


@job("sample_exit")
def leave() -> None:
    note("start")
    sys.exit("enough")


@job("sample_interrupt")
def interrupt() -> None:
    note("start")
    raise KeyboardInterrupt


@job("sample_return_lock")
def return_lock() -> Any:
    note("start")
    return threading.Lock()


@job("sample_die")
def die(code: int = 3) -> None:
    note("start")
    os._exit(code)


@job("sample_deaf")
def deaf() -> None:
    """Ignores SIGTERM, and starts a child process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", str(FOREVER)])
    current_run().write_log(f"child {child.pid}")
    note("start")
    nap(FOREVER)


@job("sample_print")
def print_much(megabytes: int) -> int:
    note("start")
    line = "x" * 1023 + "\n"
    for _ in range(megabytes * 1024):
        sys.stdout.write(line)
    note("end")
    return megabytes


@job("sample_log")
def log_much(megabytes: int) -> int:
    note("start")
    run = current_run()
    line = "x" * 8191
    logging.getLogger("sample").warning("the first line")
    for _ in range(megabytes * 128):
        run.write_log(line)
    logging.getLogger("sample").warning("the last line")
    note("end")
    return megabytes


@job("sample_chat")
def chat(lines: int) -> int:
    """Write lines into the program's log."""
    note("start")
    for number in range(lines):
        logging.getLogger("sample").warning("line %d %s", number, "x" * 200)
    note("end")
    return lines


@job("sample_archive_itself")
def archive_itself() -> None:
    note("start")
    JobDefinition.objects.filter(pk=current_run().job_id).update(archived_at=current_run().scheduled_for)


@job("sample_delete_itself")
def delete_itself() -> None:
    note("start")
    JobDefinition.objects.get(pk=current_run().job_id).delete()


@job("sample_start_threads")
def start_threads(count: int = 20) -> int:
    note("start")
    for _ in range(count):
        threading.Thread(target=nap, args=[FOREVER], daemon=True).start()
    return count


@job("sample_spin")
def spin(rounds: int) -> int:
    """Pure Python that never waits, and releases the GIL only when forced to."""
    note("start")
    total = 0
    for number in range(rounds):
        total += number
    return total


@job("sample_block_loop")
async def block_loop(seconds: float) -> None:
    """An async function that blocks its event loop."""
    note("start")
    nap(seconds)
    note("end")


def hold(seconds: float = 1.0) -> None:
    """Keep the interpreter's lock: a call into C that does not release it."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


@job("sample_segfault")
def segfault() -> None:
    note("start")
    ctypes.string_at(0)


# The rest of the sample functions, by what they are for.
from tests.support.sample import leaks, misdeeds  # noqa: E402, F401 -- misdeeds uses functions of this module
