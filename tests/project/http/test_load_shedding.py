"""The last thread is refused to requests that would hang in it, and not to those of a server that is only busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.waiting import let_pass, wait_until
from vsadmin.http.load_shedding import STALLED_AFTER_SECONDS, LoadShedder

pytestmark = pytest.mark.once

THREADS = 4


@pytest.fixture
def shedder() -> LoadShedder:
    return LoadShedder(THREADS)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as threads:
        yield threads


def occupy(shedder: LoadShedder, pool: ThreadPoolExecutor, work: Callable[[], object], count: int = THREADS - 1) -> None:
    """Let requests that do `work` take all threads but one, and wait until they are suspicious."""
    admitted: list[bool] = []

    def request() -> None:
        admitted.append(shedder.admit())
        work()
        shedder.release()

    for _ in range(count):
        pool.submit(request)
    wait_until(lambda: len(admitted) == count)
    assert all(admitted)
    let_pass(STALLED_AFTER_SECONDS + 0.05, because="the shedder judges by how long nothing has finished")


def test_a_request_is_refused_while_all_others_hang(shedder: LoadShedder, pool: ThreadPoolExecutor) -> None:
    end = threading.Event()
    occupy(shedder, pool, end.wait)
    refused = not shedder.admit()
    again = [not shedder.admit() for _ in range(100)]
    end.set()
    assert refused
    assert all(again)


def test_the_first_request_after_a_hang_is_admitted(shedder: LoadShedder, pool: ThreadPoolExecutor) -> None:
    end, go_on = threading.Event(), threading.Event()
    occupy(shedder, pool, lambda: end.wait() and go_on.wait(), THREADS - 2)
    occupy(shedder, pool, end.wait, 1)
    assert not shedder.admit()
    end.set()
    assert wait_until(shedder.admit)
    go_on.set()


def test_a_request_is_admitted_while_the_others_compute(shedder: LoadShedder, pool: ThreadPoolExecutor) -> None:
    end = threading.Event()

    def compute() -> None:
        while not end.is_set():
            sum(range(1000))

    occupy(shedder, pool, compute)
    admitted = shedder.admit()
    end.set()
    assert admitted


def test_nothing_is_refused_where_the_number_of_threads_is_unknown(pool: ThreadPoolExecutor) -> None:
    unlimited, end = LoadShedder(), threading.Event()
    occupy(unlimited, pool, end.wait)
    admitted = unlimited.admit()
    end.set()
    assert admitted
