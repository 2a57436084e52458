"""Every slot has exactly one row, through killed, frozen and restarted schedulers and databases."""

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
from tests.chaos.chaos_monkey import ChaosMonkey
from tests.support.cluster import Cluster
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import let_pass, wait_until

MIRA = Author(name="mira", source="admin")
SEED = 20261121
REAPED_WITHIN = 15.0
ENDED_WITHIN = 1.0
"""Seconds, for the runs of a dead worker."""


@dataclass(frozen=True)
class Size:
    schedulers: int
    jobs: int
    seconds: float
    freezes: tuple[float, ...]


SHORT = Size(schedulers=2, jobs=12, seconds=8, freezes=(0.5, 1.5))
LONG = Size(schedulers=3, jobs=40, seconds=240, freezes=(0.5, 1.5, 4, 11))
SMALL_WORKERS = {"VS_SCHEDULER_WORKER_MEGABYTES": "200", "VS_SCHEDULER_WORKER_RUNS": "300"}


def make_jobs(count: int) -> list[JobDefinition]:
    """Jobs of one second; some take a while, some are async and some have a process each, so that every kill interrupts a run.  One swells its worker."""
    sync = [("sample_work", seconds, "local") for seconds in (0.0, 0.4, 2.5)]
    kinds = [*sync, ("sample_work_async", 0.3, "local"), ("sample_work", 0.3, "process")]
    chosen = [kinds[number % len(kinds)] for number in range(count)]
    definitions = [
        Schedulers.job(f"job_{number:02}", function, kwargs={"seconds": seconds}, executor=executor, coalesce=number % 3 > 0)
        for number, (function, seconds, executor) in enumerate(chosen)
    ]
    return [*definitions, Schedulers.job("job_swell", "sample_swell", seconds=3, kwargs={"megabytes": 60})]


def our_jobs() -> QuerySet[JobDefinition]:
    """The definitions of this test, without the default jobs."""
    return JobDefinition.objects.filter(pk__startswith="job_")


def settle(schedulers: Schedulers, monkey: ChaosMonkey) -> datetime:
    """Wait until the runs of killed schedulers are abandoned, stop everything, and return the time up to which every slot must have a row."""
    schedulers.reconnect()
    dead = tuple(f"-{death.pid}-" for death in monkey.deaths)

    def all_reaped() -> bool:
        return not any(part in owner for owner in JobRun.objects.occupying().values_list("instance", flat=True) for part in dead)

    wait_until(all_reaped, REAPED_WITHIN + 10, f"runs of killed schedulers were not abandoned\n{monkey.actions}")
    # Until then the lost runs blocked their jobs (max_instances); from now on every job must start runs again.
    settled_at, jobs = time.time(), set(our_jobs().values_list("pk", flat=True))
    wait_until(lambda: jobs <= {entry.job for entry in schedulers.execution_log("start") if entry.at > settled_at}, 15, f"some job starts no more runs\n{monkey.actions}")
    until = now()
    last = {definition.pk for definition in our_jobs().filter(scheduled__next_run_time__lte=until)}
    wait_until(lambda: not JobDefinition.objects.filter(pk__in=last, scheduled__next_run_time__lte=until).exists(), 10, "due slots were never claimed")
    monkey.end()
    return until


def check_rows(schedulers: Schedulers, monkey: ChaosMonkey, until: datetime) -> None:
    rows = list(JobRun.objects.filter(job__in=our_jobs()).order_by("id"))
    entries = schedulers.execution_log()
    complaints = executed_twice(entries)
    for definition in our_jobs():
        complaints += unexplained(definition, [row for row in rows if row.job_id == definition.pk], until)
    # A clean stop releases queued runs for the next scheduler, and no scheduler is left to start them.
    released = [row for row in rows if row.status == "queued" and not row.instance]
    complaints += contradictions([row for row in rows if row not in released], entries)
    complaints += [f"run {row.pk} was executed and released" for row in released if row.pk in {entry.run for entry in entries}]
    print(f">> {len(rows)} rows, {len(entries)} entries, {len(monkey.deaths)} schedulers and {len(monkey.worker_deaths)} workers killed, {len(monkey.actions)} actions")  # noqa: T201 -- the figures of a long run
    assert complaints == [], f"seed {SEED}\n" + "\n".join([*complaints[:40], *monkey.actions])


def check_abandoned(schedulers: Schedulers, monkey: ChaosMonkey) -> None:
    """Runs of a killed scheduler are abandoned, and within 15 s if another scheduler ran undisturbed meanwhile; those of a worker within a second."""
    entries = schedulers.execution_log()
    ended = {entry.run for entry in entries if entry.event == "end"}
    seconds: dict[str, list[float]] = {"scheduler": [], "worker": []}
    complaints = []
    for death in [*monkey.deaths, *monkey.worker_deaths]:
        is_worker = death in monkey.worker_deaths
        within = ENDED_WITHIN if is_worker else REAPED_WITHIN
        lost = {entry.run for entry in entries if entry.event == "start" and entry.pid in death.executors} - ended
        for row in JobRun.objects.filter(pk__in=lost).select_related("job"):
            # The process of a single run fails with it, and a process may have ended in the instant between its last line and its outcome.
            expected = {"abandoned", "failed"} if row.job.executor == "process" else {"abandoned"}
            if row.status not in expected or row.finished_at is None:
                complaints.append(f"run {row.pk} was killed with {death.pid}, and is {row.status}")
            elif monkey.was_undisturbed(death, within) if is_worker else monkey.has_survivor(death, within):
                seconds["worker" if is_worker else "scheduler"].append(took := row.finished_at.timestamp() - death.at)
                complaints += [f"run {row.pk} was abandoned only after {took:.1f} s"] if took > within else []
    print(">> abandoned after", {kind: sorted(round(value, 1) for value in values) for kind, values in seconds.items()})  # noqa: T201 -- pytest shows it on failure
    assert complaints == [], f"seed {SEED}\n" + "\n".join([*complaints, *monkey.actions])


def live_through(schedulers: Schedulers, size: Size) -> ChaosMonkey:
    make_jobs(size.jobs)
    schedulers.site.env |= SMALL_WORKERS
    monkey = ChaosMonkey(schedulers, size.schedulers, SEED, size.freezes)
    monkey.disturb(size.seconds)
    check_rows(schedulers, monkey, settle(schedulers, monkey))
    check_abandoned(schedulers, monkey)
    return monkey


@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.chaos)], ids=["short", "long"])
def test_no_slot_is_lost_or_run_twice_when_schedulers_are_killed_frozen_and_restarted(schedulers: Schedulers, size: Size) -> None:
    monkey = live_through(schedulers, size)
    assert monkey.deaths
    assert monkey.worker_deaths


def test_a_killed_run_is_abandoned_within_15_seconds(schedulers: Schedulers) -> None:
    schedulers.job("long", kwargs={"seconds": 30})
    again = schedulers.job("again", kwargs={"seconds": 30}, seconds=0, trigger="manual", retry_abandoned=True, retry_backoff_seconds=1)
    again.request_run(MIRA)
    victim = schedulers.start("--drain-seconds", "0")
    schedulers.wait_for_entry("start", "long")
    schedulers.wait_for_entry("start", "again")
    survivor = schedulers.start("--drain-seconds", "0")
    died = schedulers.kill(victim)
    [lost] = schedulers.wait_for_runs("long", 1, "abandoned", timeout=REAPED_WITHIN + 5)
    assert lost.finished_at
    assert lost.reason == "its scheduler process died"
    assert lost.finished_at.timestamp() - died < REAPED_WITHIN
    [retry] = wait_until(lambda: [run for run in schedulers.runs("again") if run.attempt == 2 and run.status == "running"], 10, "no second attempt")
    assert retry.reason == "attempt 1 abandoned"
    assert [run for run in schedulers.runs("long") if run.attempt > 1] == []
    assert schedulers.site.stop(survivor) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.chaos)], ids=["short", "long"])
def test_no_slot_is_lost_or_run_twice_when_the_database_is_restarted_as_well(own_schedulers: Schedulers, cluster: Cluster, size: Size) -> None:
    make_jobs(size.jobs)
    own_schedulers.site.env |= SMALL_WORKERS
    monkey = ChaosMonkey(own_schedulers, size.schedulers, SEED + 1, size.freezes)
    for _part in range(2):
        monkey.disturb(size.seconds / 3)
        cluster.stop(signal.SIGQUIT)
        let_pass(1, because="connections are refused for a while, not only broken")
        cluster.start()
        own_schedulers.reconnect()
        monkey.note_outage()
    monkey.disturb(size.seconds / 3)
    check_rows(own_schedulers, monkey, settle(own_schedulers, monkey))
    check_abandoned(own_schedulers, monkey)
    noticed = [process for process in own_schedulers.site.processes if own_schedulers.site.events(process, "scheduler_tick_failed")]
    assert noticed, "no tick failed during the restarts, so this test has shown nothing"
