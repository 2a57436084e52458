from __future__ import annotations

import json
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from jobs.engine.pools import THREADS
from jobs.models import CODE, JobRun
from jobs.registry import job, unregister
from tests.jobs.engine.concurrently import at_the_same_time, while_held
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, answers, capacities, define, seconds
from tests.jobs.engine.running_scheduler import running_scheduler
from tests.support.waiting import wait_until

database = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_that_claim_at_the_same_time_answer_each_slot_once() -> None:
    one, two = ManualScheduler("one"), ManualScheduler("two")
    for number in range(60):
        define(f"job-{number}")
    one.reconcile(START)
    for round_ in range(1, 6):
        now = START + seconds(60 * round_)
        first, second = at_the_same_time(lambda: one.claim(now), lambda: two.claim(now))  # noqa: B023 -- the steps end within the iteration
        rest = one.claim(now)
        started = [run.job_id for claim in (first, second, rest) for run in claim.start]
        assert sorted(started) == sorted(f"job-{number}" for number in range(60))
        for scheduler, runs in ((one, first.start + rest.start), (two, second.start)):
            scheduler.finish(runs, now)
    assert JobRun.objects.count() == 300


@pytest.mark.django_db(transaction=True)
def test_three_schedulers_start_a_requested_run_once() -> None:
    schedulers = [ManualScheduler("one"), ManualScheduler("two"), ManualScheduler("three")]
    runs = [JobRun.objects.request(define(f"job-{number}", trigger="manual").pk, "ada") for number in range(20)]
    now = max(run.queued_at for run in runs)
    claims = at_the_same_time(*(lambda scheduler=scheduler: scheduler.claim_requested(now) for scheduler in schedulers))
    started = [run.id for claim in [*claims, schedulers[0].claim_requested(now)] for run in claim.start]
    assert sorted(started) == sorted(run.pk for run in runs)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_claim_skips_rows_that_another_scheduler_has_locked() -> None:
    one, two = ManualScheduler("one"), ManualScheduler("two")
    for job_id in ("held", "free"):
        define(job_id)
    one.reconcile(START)
    claimed = while_held("held", lambda: two.claim(START + seconds(60)))
    assert [run.job_id for run in claimed.start] == ["free"]
    assert [run.job_id for run in one.claim(START + seconds(60)).start] == ["held"]


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """The number of Python and C function calls: a measure of work that does not depend on other processes."""
    counts: Counter[str] = Counter()
    sys.setprofile(lambda _frame, event, _argument: counts.update([event]))
    try:
        yield counts
    finally:
        sys.setprofile(None)


@database
@pytest.mark.parametrize(("coalesce", "rows"), [(True, 1), (False, 101)])
def test_a_week_of_downtime_of_a_job_of_one_second_takes_one_cheap_claim(*, coalesce: bool, rows: int) -> None:
    scheduler = ManualScheduler()
    define("a", interval_seconds=1, coalesce=coalesce, misfire_grace_seconds=None)
    scheduler.reconcile(START)
    tracemalloc.start()
    with counted_calls() as calls:
        claim = scheduler.claim(START + timedelta(days=7))
    _current, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert JobRun.objects.count() == rows
    assert [run.job_id for run in claim.start] == ["a"]
    assert sum(slots for _slot, _status, slots in answers("a")) == 604_800
    assert calls["call"] + calls["c_call"] < 20_000
    assert peak < 1_000_000


@database
def test_max_instances_counts_the_runs_of_all_schedulers() -> None:
    one, two = ManualScheduler("one"), ManualScheduler("two")
    define("a")
    (run,) = one.tick(START + seconds(60))
    assert two.tick(START + seconds(120)) == []
    skipped = JobRun.objects.get(status="skipped")
    assert (skipped.reason, skipped.scheduled_for) == (f"run {run.id} was still in progress", START + seconds(120))
    one.finish([run], START + seconds(130))
    assert len(two.tick(START + seconds(180))) == 1


@database
def test_up_to_max_instances_runs_overlap() -> None:
    scheduler = ManualScheduler()
    define("a", max_instances=2)
    for minute in (1, 2, 3):
        scheduler.tick(START + seconds(60 * minute))
    assert [status for _slot, status, _slots in answers("a")] == ["running", "running", "skipped"]


@database
def test_at_max_instances_a_manual_run_is_skipped_and_a_retry_waits() -> None:
    scheduler, definition = ManualScheduler(), define("a")
    (running,) = scheduler.tick(START + seconds(60))
    request = JobRun.objects.request(definition.pk, "ada")
    retry = JobRun.objects.create(job=definition, scheduled_for=START, attempt=2, cause="retry", not_before=START)
    now = max(START, request.queued_at) + seconds(61)
    assert scheduler.claim_requested(now).start == []
    request.refresh_from_db()
    assert (request.status, request.reason) == ("skipped", f"run {running.id} was still in progress")
    scheduler.finish([running], now)
    assert [run.id for run in scheduler.claim_requested(now).start] == [retry.pk]


@database
def test_a_requested_run_of_an_archived_job_is_skipped() -> None:
    scheduler, definition = ManualScheduler(), define("a", trigger="manual")
    request = JobRun.objects.request(definition.pk, "ada")
    definition.archive(CODE)
    assert scheduler.claim_requested(request.queued_at).start == []
    request.refresh_from_db()
    assert (request.status, request.reason) == ("skipped", "the job was archived")


@database
def test_jobs_of_a_full_pool_stay_due_while_another_pool_starts_runs() -> None:
    @job("tests_async")
    async def later() -> None: ...

    scheduler = ManualScheduler()
    define("sync")
    define("async", function="tests_async")
    scheduler.reconcile(START)
    left = capacities(START + seconds(60))
    left[THREADS].immediate = 0
    claim = scheduler.claims.claim_rows(START + seconds(60), left, 10)
    unregister("tests_async")
    assert [run.job_id for run in claim.start] == ["async"]
    assert claim.pools_full == {THREADS}
    assert DjangoJob.objects.get(pk="sync").next_run_time == START + seconds(60)
    assert answers("sync") == []


@database
def test_a_claim_starts_then_buffers_runs_and_leaves_the_rest_due() -> None:
    scheduler = ManualScheduler()
    for number in range(6):
        define(f"job-{number}")
    scheduler.reconcile(START)
    claim = scheduler.claim(START + seconds(60), immediate=2, buffered=1)
    assert (len(claim.start), len(claim.buffer), claim.pools_full) == (2, 1, {THREADS})
    assert sorted(JobRun.objects.values_list("status", flat=True)) == ["queued", "running", "running"]
    assert DjangoJob.objects.filter(next_run_time=START + seconds(60)).count() == 3


@database
@pytest.mark.parametrize("room", [1, 3, 8])
def test_a_burst_and_jobs_that_come_due_later_do_not_wait_for_each_other(room: int) -> None:
    """48 jobs are due at the first claim and one more comes due at each; each claim has room for `room` runs."""
    scheduler = ManualScheduler()
    for number in range(48):
        define(f"burst-{number}", trigger="once", run_at=START + seconds(60), misfire_grace_seconds=None)
    for number in range(64):
        define(f"new-{number}", trigger="once", run_at=START + seconds(61 + number))
    scheduler.reconcile(START)
    claims = [[run.job_id for run in scheduler.claim(START + seconds(61 + number), immediate=room).start] for number in range(64)]
    started = [job_id for claim in claims for job_id in claim]
    assert len(started) == len(set(started))
    last_of_burst = max(number for number, claim in enumerate(claims) if any(job_id.startswith("burst") for job_id in claim))
    assert sum(job_id.startswith("burst") for job_id in started) == 48
    assert last_of_burst <= 48 / (room * 3 / 4)
    for first in range(0, last_of_burst - 3, 4):
        assert any(job_id.startswith("new") for claim in claims[first : first + 4] for job_id in claim)
    if room >= 4:
        assert all(f"new-{number}" in claims[number] for number in range(last_of_burst))


@database
def test_a_slot_that_waited_for_a_full_pool_is_not_late() -> None:
    scheduler = ManualScheduler()
    define("a", misfire_grace_seconds=1)
    scheduler.reconcile(START)
    (run,) = scheduler.claim(START + seconds(63), judged_at=START + seconds(60)).start
    assert run.scheduled_for == START + seconds(60)


@database
def test_the_store_holds_json_without_the_callable_and_its_arguments() -> None:
    define("a", kwargs={"limit": 31_415})
    ManualScheduler().reconcile(START)
    state = bytes(DjangoJob.objects.get(pk="a").job_state)
    assert list(json.loads(state)) == ["digest", "version", "revision", "schedule", "policy"]
    assert b"tests_nothing" not in state
    assert b"31415" not in state


@database
def test_runs_are_not_written_to_the_table_of_django_apscheduler() -> None:
    scheduler = ManualScheduler()
    define("a")
    scheduler.finish(scheduler.tick(START + seconds(60)), START + seconds(61))
    assert not DjangoJobExecution.objects.exists()


@database
def test_a_claim_returns_the_number_of_answered_slots_and_answers_none_twice() -> None:
    scheduler = ManualScheduler()
    define("a")
    scheduler.reconcile(START)
    assert scheduler.claim(START + seconds(59)).answered == 0
    assert scheduler.claim(START + seconds(60)).answered == 1
    assert scheduler.claim(START + seconds(60)).answered == 0


@pytest.mark.alone
@pytest.mark.django_db(transaction=True)
def test_forty_jobs_on_ten_threads_are_all_on_time() -> None:
    """Their grace is 1 s and the last of them start after 2 s: waiting for a thread is not lateness."""
    gate = threading.Event()

    @job("tests_slow")
    def slow() -> None:
        gate.wait(0.6)

    due = datetime.now(UTC) + seconds(1.5)
    for number in range(40):
        define(f"slow-{number}", function="tests_slow", trigger="once", interval_seconds=0, run_at=due, misfire_grace_seconds=1, created_at=due - seconds(60))
    try:
        with running_scheduler():
            wait_until(lambda: JobRun.objects.filter(job__function="tests_slow").finished().count() == 40, timeout=30)
    finally:
        unregister("tests_slow")
    runs = JobRun.objects.filter(job__function="tests_slow")
    assert set(runs.values_list("status", flat=True)) == {"succeeded"}
    assert max(run.lateness or 0 for run in runs) > 1.5
