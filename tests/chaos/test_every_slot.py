"""Every slot is accounted for, whatever becomes of the schedulers and of the database."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from datetime import datetime

import pytest
from django.db.models import QuerySet
from django.utils.timezone import now

from jobs.models import Author, JobDefinition, JobRun
from tests.chaos.accounting import contradictions, executed_twice, unexplained
from tests.chaos.disorder import Disorder
from tests.support.cluster import Cluster
from tests.support.sample.fleet import Fleet, pause_for
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")
SEED = 20261121
REAPED_WITHIN = 15.0


@dataclass(frozen=True)
class Size:
    schedulers: int
    jobs: int
    seconds: float
    freezes: tuple[float, ...]


SHORT = Size(schedulers=2, jobs=12, seconds=8, freezes=(0.5, 1.5))
LONG = Size(schedulers=3, jobs=40, seconds=60, freezes=(0.5, 1.5, 4, 11))


def make_jobs(count: int) -> list[JobDefinition]:
    """Jobs of one second, of which some take a while and some are async, so that there is always something to lose."""
    kinds = [("sample_work", 0.0), ("sample_work", 0.4), ("sample_work_async", 0.3), ("sample_work", 2.5)]
    return [Fleet.job(f"job_{number:02}", function=kinds[number % 4][0], kwargs={"seconds": kinds[number % 4][1]}, coalesce=number % 3 > 0) for number in range(count)]


def our_jobs() -> QuerySet[JobDefinition]:
    """Without those that the code registers by itself."""
    return JobDefinition.objects.filter(pk__startswith="job_")


def settle(fleet: Fleet, disorder: Disorder) -> datetime:
    """Wait until what the dead have left is abandoned, stop everything, and return the moment up to which all is accounted for."""
    fleet.reconnect()
    dead = tuple(f"-{death.pid}-" for death in disorder.deaths)

    def nothing_is_left() -> bool:
        return not any(part in owner for owner in JobRun.objects.occupying().values_list("instance", flat=True) for part in dead)

    wait_until(nothing_is_left, REAPED_WITHIN + 10, f"runs of the dead go on\n{disorder.story}")
    # Until then the dead kept their jobs from running, on a slow machine nearly all of the time; now each must go on.
    calm, jobs = time.time(), set(our_jobs().values_list("pk", flat=True))
    wait_until(lambda: jobs <= {entry.job for entry in fleet.ledger("start") if entry.at > calm}, 15, f"some job does not go on\n{disorder.story}")
    until = now()
    last = {definition.pk for definition in our_jobs().filter(scheduled__next_run_time__lte=until)}
    wait_until(lambda: not JobDefinition.objects.filter(pk__in=last, scheduled__next_run_time__lte=until).exists(), 10, "due slots were never claimed")
    disorder.end()
    return until


def check_the_books(fleet: Fleet, disorder: Disorder, until: datetime) -> None:
    rows = list(JobRun.objects.filter(job__in=our_jobs()).order_by("id"))
    entries = fleet.ledger()
    complaints = executed_twice(entries)
    for definition in our_jobs():
        complaints += unexplained(definition, [row for row in rows if row.job_id == definition.pk], until)
    # What a clean stop gave back is queued for the next scheduler; there is none any more.
    left = [row for row in rows if row.status == "queued" and not row.instance]
    complaints += contradictions([row for row in rows if row not in left], entries)
    complaints += [f"run {row.pk} was executed and given back" for row in left if row.pk in {entry.run for entry in entries}]
    assert complaints == [], f"seed {SEED}\n" + "\n".join([*complaints[:40], *disorder.story])


def check_the_dead(fleet: Fleet, disorder: Disorder) -> None:
    """What a killed scheduler was running is abandoned, and within 15 s where another one lived on undisturbed to see it."""
    entries = fleet.ledger()
    ended = {entry.run for entry in entries if entry.event == "end"}
    seconds: dict[int, float] = {}
    complaints = []
    for death in disorder.deaths:
        lost = {entry.run for entry in entries if entry.event == "start" and entry.pid == death.pid} - ended
        for row in JobRun.objects.filter(pk__in=lost):
            if row.status != "abandoned" or row.finished_at is None:
                complaints.append(f"run {row.pk} was killed with {death.pid}, and is {row.status}")
            elif disorder.has_survivor(death, REAPED_WITHIN):
                seconds[row.pk] = row.finished_at.timestamp() - death.at
    print("abandoned after", sorted(round(value, 1) for value in seconds.values()))  # noqa: T201 -- pytest shows it on failure
    complaints += [f"run {run} was abandoned only after {value:.1f} s" for run, value in seconds.items() if value > REAPED_WITHIN]
    assert complaints == [], f"seed {SEED}\n" + "\n".join([*complaints, *disorder.story])


def live_through(fleet: Fleet, size: Size) -> Disorder:
    make_jobs(size.jobs)
    disorder = Disorder(fleet, size.schedulers, SEED, size.freezes)
    disorder.go_on(size.seconds)
    check_the_books(fleet, disorder, settle(fleet, disorder))
    check_the_dead(fleet, disorder)
    return disorder


@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.chaos)], ids=["short", "long"])
def test_no_slot_is_lost_or_run_twice_when_schedulers_are_killed_frozen_and_restarted(fleet: Fleet, size: Size) -> None:
    disorder = live_through(fleet, size)
    assert disorder.deaths


def test_a_killed_run_is_abandoned_within_15_seconds(fleet: Fleet) -> None:
    fleet.job("long", kwargs={"seconds": 30})
    again = fleet.job("again", kwargs={"seconds": 30}, seconds=0, trigger="manual", retry_abandoned=True, retry_backoff_seconds=1)
    again.request_run(MIRA)
    victim = fleet.start("--drain-seconds", "0")
    fleet.wait_for_ledger("start", "long")
    fleet.wait_for_ledger("start", "again")
    survivor = fleet.start("--drain-seconds", "0")
    died = fleet.kill(victim)
    [lost] = fleet.wait_for_runs("long", 1, "abandoned", timeout=REAPED_WITHIN + 5)
    assert lost.finished_at
    assert lost.reason == "its scheduler process died"
    assert lost.finished_at.timestamp() - died < REAPED_WITHIN
    [retry] = wait_until(lambda: [run for run in fleet.runs("again") if run.attempt == 2 and run.status == "running"], 10, "no second attempt")
    assert retry.reason == "attempt 1 abandoned"
    assert [run for run in fleet.runs("long") if run.attempt > 1] == []
    assert fleet.site.stop(survivor) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.chaos)], ids=["short", "long"])
def test_no_slot_is_lost_or_run_twice_when_the_database_is_restarted_as_well(own_fleet: Fleet, cluster: Cluster, size: Size) -> None:
    make_jobs(size.jobs)
    disorder = Disorder(own_fleet, size.schedulers, SEED + 1, size.freezes)
    for _part in range(2):
        disorder.go_on(size.seconds / 3)
        cluster.stop(signal.SIGQUIT)
        pause_for(1)
        cluster.start()
        own_fleet.reconnect()
        disorder.everybody_was_disturbed()
    disorder.go_on(size.seconds / 3)
    check_the_books(own_fleet, disorder, settle(own_fleet, disorder))
    check_the_dead(own_fleet, disorder)
    noticed = [process for process in own_fleet.site.processes if own_fleet.site.events(process, "scheduler_tick_failed")]
    assert noticed, "the restarts hurt nobody, so this has shown nothing"
