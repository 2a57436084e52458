"""The work of one tick: the dispatcher finds work in the tables and submits each claimed run to its pool."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from django_apscheduler.models import DjangoJob

from jobs.engine.dispatcher import BUSY_PAUSE, LONGEST_BUSY_PAUSE, TICK_SECONDS, Dispatcher
from jobs.engine.executors import RunExecutor, ThreadExecutor
from jobs.engine.notifier import notifier_for_connection
from jobs.engine.pools import PROCESSES, THREADS
from jobs.engine.statements import for_connection
from jobs.models import JobRun, Status
from tests.jobs.engine.manual_scheduler import STAFF, START, define, instance_named, outcome, seconds

pytestmark = pytest.mark.django_db


@dataclass
class Ticks:
    """A dispatcher that polls at each tick, and pools whose threads do not run."""

    threads: int = 2
    now: datetime = START
    pools: dict[str, RunExecutor] = field(default_factory=dict)
    woken: threading.Event = field(default_factory=threading.Event)
    """Whether the recorder was asked to start buffered runs."""

    def __post_init__(self) -> None:
        statements, notifier = for_connection(), notifier_for_connection(threading.Event())
        self.dispatcher = Dispatcher(statements, notifier, instance_named("one"), lambda: self.now, self.woken.set, always_poll=True)
        self.pools |= {pool: ThreadExecutor(self.threads, lambda: self.now, lambda outcomes: None) for pool in (THREADS, PROCESSES)}
        self.dispatcher.pools = self.pools

    def tick(self, after_start: float) -> float:
        """Do the work that there is `after_start` seconds after START; returns the seconds until the next tick."""
        self.now = START + seconds(after_start)
        return self.dispatcher.work(self.now)

    def in_flight(self, pool: str = THREADS) -> list[str]:
        return sorted(run.job_id for run in self.pools[pool].in_flight.values())

    def end_all(self, pool: str = THREADS) -> None:
        executor = self.pools[pool]
        for run in list(executor.in_flight.values()):
            finished = outcome(run.id, self.now)
            for_connection().finish_runs([(run, finished)], "one")
            executor.ended(run, finished)


def test_a_new_definition_is_applied_and_its_due_slot_is_submitted() -> None:
    ticks = Ticks()
    define("a")
    assert ticks.tick(0) < TICK_SECONDS
    assert ticks.dispatcher.worked
    ticks.tick(60)
    assert ticks.in_flight() == ["a"]
    assert JobRun.objects.get().status == Status.RUNNING


def test_each_run_goes_to_the_pool_of_its_definition() -> None:
    ticks = Ticks()
    define("thread")
    define("process", executor="process")
    for after_start in (0, 60):
        ticks.tick(after_start)
    assert (ticks.in_flight(THREADS), ticks.in_flight(PROCESSES)) == (["thread"], ["process"])


def test_the_next_tick_is_at_the_next_fire_time_and_at_most_200_ms_away() -> None:
    ticks = Ticks()
    define("a")
    ticks.tick(0)
    assert ticks.tick(1) == TICK_SECONDS
    assert not ticks.dispatcher.worked
    assert ticks.tick(59.95) == pytest.approx(0.05)


def test_the_pause_after_a_claim_grows_with_the_number_of_claimed_runs() -> None:
    ticks = Ticks(threads=200)
    for number in range(100):
        define(f"job-{number}", trigger="once", run_at=START + seconds(60 if number else 30))
    ticks.tick(0)
    few, many = ticks.tick(30), ticks.tick(60)
    assert BUSY_PAUSE < few < many <= LONGEST_BUSY_PAUSE


def test_jobs_beyond_the_capacity_of_a_pool_stay_due_until_runs_have_ended() -> None:
    ticks = Ticks(threads=1)
    for number in range(3):
        define(f"job-{number}")
    for after_start in (0, 60):
        ticks.tick(after_start)
    pool = ticks.pools[THREADS]
    assert (len(pool.in_flight), len(pool.buffered), ticks.dispatcher.pools_full) == (1, 1, {THREADS})
    assert DjangoJob.objects.filter(next_run_time=START + seconds(60)).count() == 1
    pool.buffered.clear()
    ticks.end_all()
    ticks.tick(61)
    assert len(ticks.in_flight()) == 1
    assert not DjangoJob.objects.filter(next_run_time=START + seconds(60)).exists()


def test_the_recorder_starts_a_buffered_run_at_once_when_the_run_before_it_has_already_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of a millisecond may end, and be recorded, before the tick that claimed it has buffered the next."""
    ticks = Ticks(threads=1)
    for number in range(2):
        define(f"job-{number}")
    monkeypatch.setattr(ticks.pools[THREADS], "flush", ticks.end_all)
    for after_start in (0, 60):
        ticks.tick(after_start)
    assert len(ticks.pools[THREADS].buffered) == 1
    assert ticks.woken.is_set()


def test_the_recorder_is_not_woken_for_a_buffered_run_without_room() -> None:
    ticks = Ticks(threads=1)
    for number in range(2):
        define(f"job-{number}")
    for after_start in (0, 60):
        ticks.tick(after_start)
    assert len(ticks.pools[THREADS].buffered) == 1
    assert not ticks.woken.is_set()


def test_a_requested_run_is_submitted_at_the_next_tick() -> None:
    ticks = Ticks()
    define("a", trigger="manual")
    ticks.tick(0)
    request = JobRun.objects.create(job_id="a", scheduled_for=START, cause="manual", queued_at=START, not_before=START + seconds(5))
    ticks.tick(4.9)
    assert ticks.in_flight() == []
    ticks.tick(5)
    assert list(ticks.pools[THREADS].in_flight) == [request.pk]


def test_a_run_whose_cancellation_was_requested_is_stopped() -> None:
    ticks = Ticks()
    define("cancelled")
    define("other")
    for after_start in (0, 60):
        ticks.tick(after_start)
    JobRun.objects.get(job="cancelled").request_cancel(STAFF.name)
    ticks.tick(61)
    assert {run.job_id: run.stop_reason for run in ticks.pools[THREADS].in_flight.values()} == {"cancelled": Status.CANCELLED, "other": None}
