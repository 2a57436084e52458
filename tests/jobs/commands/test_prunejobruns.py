from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils.timezone import now

from jobs.models import JobRun
from tests.support.rows import make_job, make_run

pytestmark = pytest.mark.django_db


def prunejobruns(*arguments: str) -> str:
    out = io.StringIO()
    call_command("prunejobruns", *arguments, stdout=out)
    return out.getvalue().strip()


def test_runs_older_than_their_job_keeps_them_are_deleted_and_counted() -> None:
    for job_id, days in (("backup", (1, 40, 50)), ("tidy", (60,))):
        job = make_job(job_id, keep_days=30)
        for age in days:
            make_run(job, now() - timedelta(days=age))
    assert prunejobruns() == "3 runs of 2 jobs deleted"
    assert [run.job_id for run in JobRun.objects.all()] == ["backup"]


def test_json_tells_the_count_of_each_job() -> None:
    make_run(make_job(keep_days=30), now() - timedelta(days=40))
    assert json.loads(prunejobruns("--json")) == {"backup": 1}
    assert json.loads(prunejobruns("--json")) == {}
