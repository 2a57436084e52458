from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from jobs.engine.run import ClaimedRun, Outcome
from jobs.registry import job, unregister
from tests.jobs.engine.manual_scheduler import START

RUN_IDS = count(1)


@pytest.fixture
def outcomes() -> list[Outcome]:
    """The outcomes that the executor has reported."""
    return []


@pytest.fixture
def run_of() -> Iterator[Callable[..., ClaimedRun]]:
    """Makes a run of a function, which it registers for the length of the test."""
    names: list[str] = []

    def run_of(function: Callable[..., Any], **fields: Any) -> ClaimedRun:
        name = f"tests_function_{len(names)}"
        job(name)(function)
        names.append(name)
        return ClaimedRun(next(RUN_IDS), "job", START, name, {}, **fields)

    yield run_of
    for name in names:
        unregister(name)
