"""The one place in the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

POLL_SECONDS = 0.02

SLOWEST = 3
"""How many times longer a machine takes that runs other tests beside this one, or that others use."""


def wait_until(condition: Callable[[], Value | None], timeout: float = 10.0, message: str = "") -> Value:
    """The first truthy value of `condition()`, asked every 20 ms; AssertionError with `message` after SLOWEST times `timeout` seconds.

    `timeout` is what a machine with nothing else to do needs at most.  How quick something is, is not tested by waiting.
    """
    timeout *= SLOWEST
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{message or 'it never became true'} (waited {timeout:g} s, last answer {value!r})")
        time.sleep(POLL_SECONDS)


def let_pass(seconds: float, *, because: str) -> None:
    """Let time pass where a duration is the subject of the test; everything else waits for an event.  `because` is for the reader."""
    time.sleep(seconds)
