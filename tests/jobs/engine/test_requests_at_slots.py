"""A request at the very microsecond of a slot does not pass for the slot's answer."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.utils.timezone import now

from jobs.models import JobRun
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, answers, define, seconds

pytestmark = pytest.mark.django_db


def ask_at(job_id: str, moment: datetime) -> JobRun:
    return JobRun.objects.create(job_id=job_id, scheduled_for=moment, cause="manual", queued_at=moment, not_before=moment)


def test_a_claim_answers_its_slots_beside_the_request() -> None:
    define("asked")
    scheduler = ManualScheduler()
    scheduler.reconcile(START)
    ask_at("asked", START + seconds(120))
    scheduler.claim(START + seconds(121))
    assert answers("asked") == [(START + seconds(120), "running", 2)]
    assert JobRun.objects.get(cause="manual").scheduled_for == START + seconds(120.000001)


def test_an_edit_answers_the_old_slots_beside_the_request() -> None:
    start = now() - seconds(150)
    definition = define("edited", created_at=start)
    scheduler = ManualScheduler()
    scheduler.reconcile(start)
    ask_at("edited", start + seconds(120))
    definition.edit(STAFF, interval_seconds=0)
    scheduler.reconcile(now())
    assert answers("edited") == [(start + seconds(120), "queued", 2)]
