"""A request at the microsecond of a slot is not taken for the slot's answer."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.utils.timezone import now

from jobs.models import JobRun
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, answers, define, seconds

pytestmark = pytest.mark.django_db


def request_at(job_id: str, at: datetime) -> JobRun:
    return JobRun.objects.create(job_id=job_id, scheduled_for=at, cause="manual", queued_at=at, not_before=at)


def test_a_claim_answers_a_slot_that_has_a_request_at_the_same_microsecond() -> None:
    define("requested")
    scheduler = ManualScheduler()
    scheduler.reconcile(START)
    request_at("requested", START + seconds(120))
    scheduler.claim(START + seconds(121))
    assert answers("requested") == [(START + seconds(120), "running", 2)]
    assert JobRun.objects.get(cause="manual").scheduled_for == START + seconds(120.000001)


def test_an_edit_answers_an_old_slot_that_has_a_request_at_the_same_microsecond() -> None:
    start = now() - seconds(150)
    definition = define("edited", created_at=start)
    scheduler = ManualScheduler()
    scheduler.reconcile(start)
    request_at("edited", start + seconds(120))
    definition.edit(STAFF, interval_seconds=0)
    scheduler.reconcile(now())
    assert answers("edited") == [(start + seconds(120), "queued", 2)]
