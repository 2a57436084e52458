from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.registry import job, unregister


@pytest.fixture(autouse=True)
def tests_nothing() -> Iterator[str]:
    """A registered job function that does nothing."""

    @job("tests_nothing")
    def nothing(limit: int = 1) -> None:
        pass

    yield "tests_nothing"
    unregister("tests_nothing")
