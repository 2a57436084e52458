from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils.timezone import now
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from jobs.maintenance.prune import prune
from jobs.models import JobRun, PendingRollup, RollupCursor, RunTotal, SchedulerInstance, run_totals
from jobs.monitoring.exposition import TEXT
from tests.support.api import MONITOR_KEY
from tests.support.rows import make_job, make_run, schedule
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def scrape() -> dict[str, Metric]:
    """The metrics as the official parser reads them, made anew."""
    TEXT.forget()
    answer = Client().get("/metrics", headers={"X-API-Key": MONITOR_KEY})
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.content.decode())}


def value(family: Metric, suffix: str = "", **labels: str) -> float:
    (found,) = [sample.value for sample in family.samples if sample.name == family.name + suffix and sample.labels == labels]
    return float(found)


def total(status: str = "succeeded", job_id: str = "backup") -> float:
    return value(scrape()["vsadmin_job_runs"], "_total", job_id=job_id, status=status)


def make_runs(count: int, **fields: Any) -> list[JobRun]:
    job = make_job()
    start = now() - timedelta(days=40)
    return [make_run(job, start + timedelta(seconds=number), **fields) for number in range(count)]


@pytest.fixture
def no_neighbours(request: pytest.FixtureRequest) -> None:
    """A PostgreSQL server without other clients: an open transaction anywhere on a server delays which runs are counted for good."""
    if connection.vendor == "postgresql":
        request.getfixturevalue("cluster")


@pytest.fixture
def rolls_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_totals, "ROLL_UP_FROM", 1)


def test_the_scheduler_is_up_while_it_ticks() -> None:
    SchedulerInstance.objects.create(id="x", hostname="x", pid=1, version="1", started_at=now(), heartbeat_at=now(), last_tick_at=now())
    families = scrape()
    assert value(families["vsadmin_scheduler_up"]) == value(families["vsadmin_scheduler_instances"]) == 1
    assert abs(value(families["vsadmin_scheduler_last_tick_timestamp_seconds"]) - now().timestamp()) < 5


def test_enabled_overdue_and_queued_tell_the_truth() -> None:
    job = make_job(enabled=False)
    schedule(job, now() - timedelta(minutes=1))
    JobRun.objects.request(job.pk, "tester")
    families = scrape()
    assert value(families["vsadmin_job_enabled"], job_id="backup") == 0
    assert value(families["vsadmin_job_overdue"], job_id="backup") == 1
    assert value(families["vsadmin_runs_queued"]) == 1
    assert value(families["vsadmin_scheduler_up"]) == 0


def test_histograms_count_each_run_in_its_buckets() -> None:
    job = make_job()
    slot = now() - timedelta(minutes=5)
    for number, (delay, duration) in enumerate([(0.02, 0.05), (0.3, 2.0), (90.0, 4000.0)]):
        at = slot + timedelta(seconds=number)
        make_run(job, at, started_at=at + timedelta(seconds=delay), duration_seconds=duration)
    make_run(job, slot - timedelta(hours=1), status="missed", started_at=None, duration_seconds=None)
    families = scrape()
    durations, delays = families["vsadmin_job_run_duration_seconds"], families["vsadmin_job_start_delay_seconds"]
    assert [value(durations, "_bucket", job_id="backup", le=le) for le in ("0.01", "0.1", "1", "5", "1800", "+Inf")] == [0, 1, 1, 2, 2, 3]
    assert value(durations, "_sum", job_id="backup") == pytest.approx(4002.05)
    assert [value(delays, "_bucket", le=le) for le in ("0.01", "0.05", "0.25", "0.5", "60", "+Inf")] == [0, 1, 1, 2, 2, 3]
    assert value(delays, "_sum") == pytest.approx(90.32, abs=0.01)


def test_a_retry_is_late_by_its_own_time() -> None:
    job, slot = make_job(), now() - timedelta(hours=1)
    again = slot + timedelta(minutes=10)
    make_run(job, slot, attempt=2, cause="retry", not_before=again, started_at=again + timedelta(seconds=2))
    assert value(scrape()["vsadmin_job_start_delay_seconds"], "_sum") == pytest.approx(2, abs=0.01)


def counts(families: dict[str, Metric]) -> dict[Any, float]:
    names = ("vsadmin_job_runs", "vsadmin_job_run_duration_seconds", "vsadmin_job_start_delay_seconds")
    return {(sample.name, *sorted(sample.labels.items())): sample.value for name in names for sample in families[name].samples}


def never_falls(scrapes: Iterable[dict[Any, float]]) -> bool:
    return all(after.get(key, -1) >= number - 1e-6 for before, after in pairwise(scrapes) for key, number in before.items())


@pytest.mark.parametrize("early", [True, False], ids=["counted", "fresh"])
def test_pruning_lowers_nothing(early: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if early:
        monkeypatch.setattr(run_totals, "ROLL_UP_FROM", 1)
    make_runs(30)
    seen = [counts(scrape()), counts(scrape()), counts(scrape())]
    assert prune(now()) == {"backup": 30}
    assert JobRun.objects.count() == 0
    seen += [counts(scrape()), counts(scrape())]
    make_run(make_job("other"))
    seen.append(counts(scrape()))
    assert never_falls(seen)
    assert total() == 30


def test_a_run_that_ends_after_later_ones_were_counted_is_counted_once(no_neighbours: None, rolls_up_early: None) -> None:
    late, *_others = make_runs(20)
    JobRun.objects.filter(pk=late.pk).update(status="running", finished_at=None)

    def is_stepped_over() -> bool:
        assert total() == 19
        return list(PendingRollup.objects.values_list("run", flat=True)) == [late.pk]

    wait_until(is_stepped_over, message="the run that is going on was never stepped over")
    JobRun.objects.filter(pk=late.pk).update(status="failed", finished_at=now())
    for _scrape in range(3):
        assert total("failed") == 1
    make_run(make_job("other"))

    def is_counted() -> bool:
        assert (total("failed"), total()) == (1, 19)
        return not PendingRollup.objects.exists()

    wait_until(is_counted, message="the late run was never counted for good")


def test_a_late_run_that_is_pruned_is_counted_once(rolls_up_early: None) -> None:
    late, *_others = make_runs(5)
    JobRun.objects.filter(pk=late.pk).update(status="running", finished_at=None)
    for _scrape in range(4):
        total()
    JobRun.objects.filter(pk=late.pk).update(status="succeeded", finished_at=now())
    prune(now())
    assert total() == 5
    assert not PendingRollup.objects.exists()


def test_counting_in_many_processes_at_once_counts_each_run_once(rolls_up_early: None) -> None:
    """Threads with connections of their own stand for the processes."""
    finished = Event()

    def count() -> None:
        while not finished.wait(0.01):  # without a pause the counters would hold SQLite's write lock all the time
            RunTotal.objects.roll_up()
        connection.close()

    counters = [Thread(target=count, daemon=True) for _ in range(3)]
    for counter in counters:
        counter.start()
    try:
        make_runs(100)
        prune(now() - timedelta(days=9))
    finally:
        finished.set()
    for counter in counters:
        counter.join()
    assert total() == 100


@pytest.mark.postgresql
def test_a_smaller_id_that_commits_later_is_counted(no_neighbours: None, rolls_up_early: None) -> None:
    """PostgreSQL gives out ids in one order and shows rows in another."""
    job = make_job()
    inserted, go_on = Event(), Event()

    def insert_slowly() -> None:
        with transaction.atomic():
            make_run(job, now() - timedelta(hours=1))
            inserted.set()
            go_on.wait(10)
        connection.close()

    slow = Thread(target=insert_slowly)
    slow.start()
    assert inserted.wait(10)
    make_run(job)
    for _scrape in range(3):
        assert total() == 1
    go_on.set()
    slow.join()

    def is_counted() -> bool:
        assert total() == 2
        return RollupCursor.objects.current().counted_to == JobRun.objects.latest("pk").pk

    wait_until(is_counted, message="the slow run was never counted for good")
