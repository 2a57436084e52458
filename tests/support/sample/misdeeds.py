"""Job functions that harm the process that executes them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from jobs.registry import current_run, job
from tests.support.sample.execution_log import note
from tests.support.sample.jobs import FOREVER, hold, nap


@job("sample_signal_itself")
def signal_itself(number: int, seconds: float = 0.0) -> None:
    note("start")
    nap(seconds)
    os.kill(os.getpid(), number)
    nap(FOREVER)


@job("sample_hold_noted")
def hold_noted(seconds: float) -> None:
    """Keep the interpreter's lock, and log the start and the end."""
    note("start")
    hold(seconds)
    note("end")


@job("sample_orphan")
def orphan(number: int = signal.SIGKILL) -> None:
    """Fork a child that keeps every descriptor of this process open, and end by a signal."""
    note("start")
    if os.fork() == 0:
        signal.pause()
    os.kill(os.getpid(), number)


@job("sample_close_descriptors")
def close_descriptors() -> None:
    note("start")
    os.closerange(3, 256)
    nap(FOREVER)


def _messages(kind: str) -> bytes:
    """What a worker must never send, about the run that sends it."""
    run = current_run()
    started = run.scheduled_for.isoformat()
    outcome = [run.id, "succeeded", started, started, 0.0]
    bodies: dict[str, object] = {
        "list": [1],
        "text as outcomes": {"ended": "abc"},
        "list as output": {"output": [[run.id, ["text"], 1, None]]},
        "outcome beside a bad one": {"ended": [outcome, [1]]},
        "outcome of the year 1": {"ended": [[run.id, "succeeded", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00", 0.0]]},
        "outcome with an unknown status": {"ended": [[run.id, "happy", started, started, 0.0]]},
        "number as left open": {"ready": 1, "left_open": 5},
        "number as confirmation": {"seen": 1e308},
        "start without a zone": {"started": [[run.id, "2026-01-01T00:00:00", 1.0]]},
        "start that is not a number": {"started": [[run.id, started, "nan"]]},
    }
    if kind == "noise":
        return b"\xff" * 64
    body = b"{" if kind == "no JSON" else orjson.dumps(bodies[kind])
    return struct.pack("!I", len(body)) + body


def _sockets() -> Iterator[int]:
    """The descriptors of this process that are ends of a pair of sockets."""
    for path in Path("/proc/self/fd").iterdir():
        try:
            if stat.S_ISSOCK(os.fstat(int(path.name)).st_mode):
                with socket.socket(fileno=os.dup(int(path.name))) as copy:
                    if copy.family == socket.AF_UNIX and not copy.getpeername():
                        yield int(path.name)
        except OSError:
            continue


@job("sample_garbage")
def garbage(kind: str, seconds: float = 0.0) -> None:
    """Write something into the socket to the scheduler."""
    note("start")
    data = _messages(kind)
    for descriptor in _sockets():
        os.write(descriptor, data)
    nap(seconds)


@job("sample_work_then_hold")
def work_then_hold(work_seconds: float, hold_seconds: float) -> None:
    note("start")
    nap(work_seconds)
    hold(hold_seconds)


KEPT: list[bytearray] = []


@job("sample_swell")
def swell(megabytes: int) -> None:
    """Keep memory in the process for good."""
    note("start")
    KEPT.append(bytearray(b"x") * (megabytes * 1024 * 1024))
    note("end")


RESULTS: dict[str, Any] = {
    "surrogates in a result": {"half": "\ud800"},
    "surrogates in a key": {"\ud800": 1},
    "a big number": 10**60,
    "no number": float("nan"),
    "depth": json.loads(500 * "[" + 500 * "]"),
}


@job("sample_say")
def say(what: str = "", number: int = 0, nested: Any = None) -> Any:
    """Write, raise or return what is hard to send."""
    note("start")
    run = current_run()
    if what == "surrogates in an error":
        raise RuntimeError("half a pair: \ud800")
    if what == "surrogates in a log":
        run.write_log("half a pair: \ud800")
        logging.getLogger("sample").warning("half a pair: \ud800")
    if what == "surrogates in progress":
        run.progress(1, 2, "half a pair: \ud800")
    if what == "a number in progress":
        run.progress(10**60, float("inf"))
    if what == "NUL":
        run.write_log("\0")
        raise RuntimeError("\0")
    return RESULTS.get(what, [number > 0, nested is None])


@job("sample_say_async")
async def say_much(seconds: float = 0.0, size: int = 0, padding: str = "") -> None:
    """Write a log of characters of four bytes, and end at the same time as others."""
    note("start")
    current_run().write_log("😀" * size)
    await asyncio.sleep(max(seconds - time.time(), 0))
