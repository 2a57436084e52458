"""Sets of runs are found by their partial indexes, however many runs have ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from jobs.models import JobRun, Status
from jobs.models.run import JobRunQuerySet
from tests.jobs.engine.manual_scheduler import START, define, seconds

pytestmark = pytest.mark.django_db


@pytest.fixture
def many_runs() -> None:
    define("busy")
    JobRun.objects.bulk_create([JobRun(job_id="busy", scheduled_for=START + seconds(n), status=Status.SUCCEEDED, finished_at=START, instance="one") for n in range(5000)])
    JobRun.objects.create(job_id="busy", scheduled_for=START + seconds(6000), not_before=START)
    JobRun.objects.create(job_id="busy", scheduled_for=START + seconds(6001), status=Status.RUNNING, started_at=START, instance="one")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_jobrun")


@pytest.mark.usefixtures("many_runs")
@pytest.mark.parametrize(
    ("runs", "index", "found"),
    [
        (JobRun.objects.active, "jobs_run_active", 2),
        (JobRun.objects.queued, "jobs_run_active", 1),
        (JobRun.objects.running, "jobs_run_active", 1),
        (JobRun.objects.occupying, "jobs_run_active", 1),
        (lambda: JobRun.objects.filter(instance="one").active(), "jobs_run_active", 1),
        (lambda: JobRun.objects.unclaimed().filter(not_before__lte=START), "jobs_run_unclaimed", 1),
    ],
)
def test_what_is_going_on_is_found_by_its_index(runs: Callable[[], JobRunQuerySet], index: str, found: int) -> None:
    assert runs().order_by().count() == found
    assert index in runs().order_by().explain()
