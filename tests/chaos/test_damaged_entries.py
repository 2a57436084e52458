"""The store's entries are rewritten by SQL while schedulers work: their jobs lose no slot and run none twice."""

from __future__ import annotations

import random
import time

import pytest
from django.utils.timezone import now

from jobs.models import ScheduledJob
from tests.chaos.accounting import contradictions, executed_twice, unexplained
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import let_pass, wait_until

GARBAGE = [b"", b"{}", b"not JSON", b"\x80\x04N.", b'{"version": 1}', b'{"digest": 1, "revision": "x", "schedule": [], "policy": {}}', b"[" * 5000]


@pytest.mark.parametrize("seconds", [6, pytest.param(120, marks=pytest.mark.chaos)])
def test_jobs_whose_entries_are_damaged_run_each_slot_once(schedulers: Schedulers, seconds: float) -> None:
    dice = random.Random(20261126)
    kinds = ["sample_work", "sample_work_async"]
    jobs = [Schedulers.job(f"damaged_{number}", kinds[number % 2], kwargs={"seconds": 0.3 * (number % 3)}) for number in range(6)]
    processes = schedulers.start_many(2)
    wait_until(lambda: schedulers.execution_log("start"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ScheduledJob.objects.filter(pk=dice.choice(jobs).pk).update(job_state=dice.choice(GARBAGE))
        let_pass(dice.uniform(0.05, 0.4), because="damage comes at any moment of a tick")
    until = now()
    wait_until(lambda: not [complaint for job in jobs for complaint in unexplained(job, schedulers.runs(job.pk), until)], message="slots are lost")
    for process in processes:
        assert schedulers.site.stop(process) == 0
    rows = [run for job in jobs for run in schedulers.runs(job.pk)]
    entries = schedulers.execution_log()
    assert executed_twice(entries) == []
    assert contradictions([row for row in rows if (row.status, row.instance) != ("queued", "")], entries) == []
    assert len({entry.job for entry in entries}) == len(jobs)
