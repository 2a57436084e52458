"""`vsadmin_job_interval_seconds`: how long a healthy job may go without a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from jobs.monitoring.metrics import JobsCollector
from tests.support.rows import make_job

pytestmark = pytest.mark.django_db


def intervals() -> dict[str, float]:
    return {sample.labels["job_id"]: sample.value for family in JobsCollector().collect() if family.name == "vsadmin_job_interval_seconds" for sample in family.samples}


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"interval_seconds": 60}, 60),
        ({"interval_seconds": 60, "enabled": False}, 60),
        ({"trigger": "cron", "cron": "0 9 * * 1-5"}, 3 * 86_400),
        ({"interval_seconds": 0}, None),
        ({"trigger": "manual"}, None),
        ({"trigger": "once", "run_at": now()}, None),
        ({"interval_seconds": 60, "ends_at": now() - timedelta(hours=1)}, None),
    ],
    ids=["interval", "disabled", "cron", "off the schedule", "manual", "once", "ended"],
)
def test_only_jobs_that_repeat_have_an_interval(fields: dict[str, Any], seconds: float | None) -> None:
    make_job("backup", **fields)
    assert intervals() == ({} if seconds is None else {"backup": seconds})
