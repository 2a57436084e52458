"""Pruning keeps what each definition wants to keep."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from jobs.maintenance.prune import JOBS_AT_ONCE, SLICE, prune
from jobs.models import JobDefinition, JobRun, Status
from jobs.models.run_totals import Fresh, RollupCursor, RunTotal
from tests.jobs.engine.manual_scheduler import START, define, seconds

pytestmark = pytest.mark.django_db


def make_runs(job_id: str, count: int, status: Status = Status.SUCCEEDED) -> None:
    finished = None if status in {Status.QUEUED, Status.RUNNING} else START
    JobRun.objects.bulk_create(JobRun(job_id=job_id, scheduled_for=START + seconds(number), status=status, finished_at=finished, instance="") for number in range(count))


def kept(job_id: str) -> list[int]:
    slots = JobRun.objects.filter(job=job_id).order_by("scheduled_for").values_list("scheduled_for", flat=True)
    return [int((slot - START).total_seconds()) for slot in slots]


def test_the_newest_runs_are_kept() -> None:
    define("counted", keep_runs=3, keep_days=None)
    make_runs("counted", 10)
    assert prune(START + seconds(20)) == {"counted": 7}
    assert kept("counted") == [7, 8, 9]


def test_runs_go_with_their_age() -> None:
    define("aged", keep_runs=None, keep_days=1)
    make_runs("aged", 10)
    assert prune(START + timedelta(days=1) + seconds(4)) == {"aged": 5}
    assert kept("aged") == [5, 6, 7, 8, 9]


def test_empty_limits_keep_everything() -> None:
    define("hoarded", keep_runs=None, keep_days=None)
    make_runs("hoarded", 10)
    assert prune(START + timedelta(days=4000)) == {}


def test_a_run_that_has_not_ended_is_never_pruned() -> None:
    define("going", keep_runs=0, keep_days=0)
    make_runs("going", 2, Status.QUEUED)
    assert prune(START + timedelta(days=400)) == {}
    assert len(kept("going")) == 2


def test_more_than_one_slice_goes_in_one_call() -> None:
    define("many", keep_runs=0, keep_days=None)
    make_runs("many", 2 * SLICE + 1)
    assert prune(START + timedelta(days=1)) == {"many": 2 * SLICE + 1}


def test_the_last_slices_of_many_jobs_share_transactions() -> None:
    for number in range(2 * JOBS_AT_ONCE + 1):
        define(f"job{number}", keep_runs=1, keep_days=None)
        make_runs(f"job{number}", 3 if number else SLICE + 2)
    assert prune(START + timedelta(days=1)) == {f"job{number}": 2 if number else SLICE + 1 for number in range(2 * JOBS_AT_ONCE + 1)}
    assert JobRun.objects.count() == 2 * JOBS_AT_ONCE + 1
    assert set(JobDefinition.objects.exclude(pk="job0").values_list("pruned_until", flat=True)) == {START + seconds(1)}


def test_runs_that_are_rolled_up_while_they_are_pruned_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums read before the transaction are read again when the cursor has advanced since."""
    define("counted", keep_runs=0, keep_days=None)
    make_runs("counted", 5)
    look, looks = RunTotal.objects.fresh_among, list[int]()

    def roll_up_meanwhile(run_ids: list[int]) -> Fresh:
        fresh = look(run_ids)
        looks.append(len(run_ids))
        if len(looks) == 1:
            monkeypatch.setattr("jobs.models.run_totals.ROLL_UP_FROM", 1)
            RollupCursor.objects.filter(pk=1).update(seen_to=max(run_ids))  # as if it had been settled before
            assert RunTotal.objects.roll_up() == 5
        return fresh

    monkeypatch.setattr(RunTotal.objects, "fresh_among", roll_up_meanwhile)
    assert prune(START + timedelta(days=1)) == {"counted": 5}
    assert looks == [5, 5]
    assert {key: sums.runs for key, sums in RunTotal.objects.current().items()} == {("counted", "succeeded"): 5}


def test_a_job_whose_retention_was_damaged_keeps_no_other_from_being_pruned() -> None:
    for job_id in ("before", "broken", "later"):
        define(job_id, keep_runs=1, keep_days=None)
        make_runs(job_id, 3)
    JobDefinition.objects.filter(pk="broken").update(keep_days=2_000_000_000)
    with capture_logs() as events:
        assert prune(START + seconds(20)) == {"before": 2, "later": 2}
    assert [event["job"] for event in events if event["event"] == "job_set_aside"] == ["broken"]
