"""The job functions that are measured."""

from __future__ import annotations

import ctypes
import re
import time

from jobs.registry import job


@job("bench_nothing")
def nothing() -> None:
    """Do nothing, so that everything measured is the scheduler's."""


@job("bench_ten_milliseconds")
def ten_milliseconds() -> None:
    """Hold a thread without using the processor, as a request to another server does."""
    time.sleep(0.01)


@job("bench_compute")
def compute(seconds: float = 5.0) -> int:
    """Compute in plain Python."""
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        rounds += sum(range(1000)) % 7
    return rounds


@job("bench_big_power")
def big_power(exponent: int = 3_000_000) -> int:
    """Keep the interpreter's lock by arithmetic, for about a second."""
    power: int = 7**exponent
    return power.bit_length()


@job("bench_regex")
def regex(length: int = 24) -> bool:
    """A catastrophic regular expression, which keeps the interpreter's lock while it backtracks."""
    return re.match(r"(a+)+$", "a" * length + "b") is None


@job("bench_sleep_in_c")
def sleep_in_c(seconds: float = 1.0) -> None:
    """A call into C that does not release the interpreter's lock."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


@job("bench_segfault")
def segfault() -> None:
    ctypes.string_at(0)


@job("bench_allocate")
def allocate(megabytes: int = 2048) -> int:
    return len(bytearray(megabytes * 1024 * 1024))
