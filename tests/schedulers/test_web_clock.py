"""A web server whose clock is wrong edits jobs: schedulers go by the database's clock, and so does every stamp.

On SQLite all processes are on one machine and share its clock.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from django.utils.timezone import now

from jobs.maintenance.audit import audit_job
from jobs.models import JobDefinition, JobRun
from tests.support.sample.schedulers import Schedulers, seconds_between

pytestmark = pytest.mark.postgresql

WEB = """
import sys, time_machine
from datetime import UTC, datetime, timedelta
time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(sys.argv[1])), tick=True).start()
import django
django.setup()
from jobs.models import Author, JobDefinition
mira = Author(name="mira", source="admin")
JobDefinition.objects.add(mira, id="made", function="sample_work", interval_seconds=1)
edited = JobDefinition.objects.get(pk="edited")
for interval in (2, 1, 3):
    edited = edited.edit(mira, interval_seconds=interval)
edited.request_run(mira)
"""
DIFFER_BY = 0.05
"""Seconds by which two honest clocks may differ: each process has read the database's at some time within a round trip."""


@pytest.mark.parametrize("ahead", [10, -10])
def test_no_slot_is_lost_when_the_web_servers_clock_is_wrong(schedulers: Schedulers, ahead: int) -> None:
    schedulers.job("edited", misfire_grace_seconds=None)
    process = schedulers.start()
    schedulers.wait_for_runs("edited", 2, "succeeded")
    began = now()
    web = schedulers.site.start(sys.executable, "-c", WEB, str(ahead), name="web")
    assert web.wait(30) == 0, schedulers.site.output(web)
    ended = now()
    definition = schedulers.wait_for_applied(JobDefinition.objects.get(pk="edited"))
    [run] = JobRun.objects.filter(job="edited", cause="manual")
    seen = JobRun.objects.filter(job="edited", cause="schedule").count()
    schedulers.wait_for_runs("edited", seen + 3)
    made = schedulers.wait_for_runs("made", 3)
    until = now()
    schedulers.site.stop(process)
    for job_id in ("edited", "made"):
        found = audit_job(JobDefinition.objects.get(pk=job_id), began - timedelta(hours=1), until)
        assert (found.missing, found.problem) == (0, ""), found
        assert found.slots >= 3
    slack = timedelta(seconds=DIFFER_BY)
    for at in (definition.updated_at, definition.scheduled_from, run.queued_at, run.not_before, made[0].job.created_at):
        assert at
        assert began - slack <= at <= ended + slack
    assert seconds_between(made[0].job.created_at, made[0].scheduled_for) == 1
    assert made[0].slots == 1
