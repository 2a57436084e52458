"""The job functions that are measured."""

from __future__ import annotations

import time

from jobs.registry import job


@job("bench_nothing")
def nothing() -> None:
    """Do nothing, so that everything measured is the scheduler's."""


@job("bench_ten_milliseconds")
def ten_milliseconds() -> None:
    """Hold a thread without using the processor, as a request to another server does."""
    time.sleep(0.01)
