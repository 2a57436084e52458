"""A repeated request with its Idempotency-Key gets the first answer again, whatever has become of job and run since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now

from jobs.exceptions import IdempotencyKeyInUse
from jobs.maintenance.prune import prune
from jobs.models import IdempotencyKey, JobDefinition, JobRun
from tests.support.api import Caller, data, problem
from tests.support.rows import TESTER, make_job
from vsadmin.models import ApiKey

pytestmark = pytest.mark.django_db

KEY = {"Idempotency-Key": "night-7"}


def nothing() -> None:
    pass


def edit() -> None:
    JobDefinition.objects.find("backup").edit(TESTER, kwargs={"target": "/c"})


def prune_the_run() -> None:
    JobRun.objects.update(status="succeeded", finished_at=now(), scheduled_for=now() - timedelta(days=400))
    assert prune(now()) == {"backup": 1}


def archive() -> None:
    JobDefinition.objects.find("backup").archive(TESTER)


def delete() -> None:
    JobRun.objects.all().delete()
    JobDefinition.objects.all().delete()


@pytest.mark.parametrize("happen", [nothing, edit, prune_the_run, archive, delete])
@pytest.mark.parametrize("body", [None, {"kwargs": {"limit": 1}}])
def test_a_repeated_request_for_a_run_gets_the_first_answer(body: Any, happen: Callable[[], None], admin: Caller, copy_world: str) -> None:
    make_job(function=copy_world, kwargs={"target": "/a"})
    first = admin.post("/jobs/backup/run", body, **KEY)
    data(first, 202)
    happen()
    runs = JobRun.objects.count()
    again = admin.post("/jobs/backup/run", body, **KEY)
    assert (again.status_code, again.content, again["Location"], again["Content-Type"]) == (202, first.content, first["Location"], first["Content-Type"])
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert JobRun.objects.count() == runs


@pytest.mark.parametrize("happen", [nothing, edit, archive, delete])
def test_a_repeated_request_for_a_job_gets_the_first_answer(happen: Callable[[], None], admin: Caller, copy_world: str) -> None:
    body = {"id": "backup", "function": copy_world, "kwargs": {"target": "/a"}}
    first = admin.post("/jobs", body, **KEY)
    data(first, 201)
    happen()
    again = admin.post("/jobs", body, **KEY)
    assert (again.status_code, again.content, again["Location"], again["ETag"]) == (201, first.content, first["Location"], first["ETag"])
    assert again["Idempotency-Replayed"] == "true"
    problem(admin.post("/jobs", body | {"title": "Other"}, **KEY), 422, "IDEMPOTENCY_KEY_REUSED")


def test_another_request_with_the_key_is_refused(admin: Caller, copy_world: str) -> None:
    make_job(function=copy_world, kwargs={"target": "/a"})
    make_job("other", function=copy_world, kwargs={"target": "/a"})
    data(admin.post("/jobs/backup/run", {"kwargs": {"limit": 1}}, **KEY), 202)
    problem(admin.post("/jobs/backup/run", {"kwargs": {"limit": 2}}, **KEY), 422, "IDEMPOTENCY_KEY_REUSED")
    problem(admin.post("/jobs/backup/run", **KEY), 422, "IDEMPOTENCY_KEY_REUSED")
    problem(admin.post("/jobs/other/run", {"kwargs": {"limit": 1}}, **KEY), 422, "IDEMPOTENCY_KEY_REUSED")
    problem(admin.post("/jobs", {"id": "new", "function": copy_world, "kwargs": {"target": "/a"}}, **KEY), 422, "IDEMPOTENCY_KEY_REUSED")
    assert JobRun.objects.count() == 1


def test_a_refused_request_leaves_the_key_free(admin: Caller) -> None:
    make_job()
    problem(admin.post("/jobs/backup/run", {"kwargs": {"nonsense": 1}}, **KEY), 422, "VALIDATION_ERROR")
    problem(admin.post("/jobs/none/run", **KEY), 404, "JOB_NOT_FOUND")
    assert "Idempotency-Replayed" not in admin.post("/jobs/backup/run", **KEY)
    assert JobRun.objects.count() == 1


def test_each_caller_has_keys_of_its_own(admin: Caller) -> None:
    make_job()
    callers = [admin, *(Caller(**{"X-API-Key": ApiKey.objects.issue("same name", "admin", "tester")[1]}) for _ in range(2))]
    session = Caller()
    session.client = Client()
    session.client.force_login(User.objects.create_superuser("mira"))
    for caller in [*callers, session]:
        assert "Idempotency-Replayed" not in caller.post("/jobs/backup/run", **KEY)
        assert caller.post("/jobs/backup/run", **KEY)["Idempotency-Replayed"] == "true"
    assert JobRun.objects.count() == 4


def test_a_request_whose_first_one_is_in_progress_is_told_when_to_repeat_it(admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    make_job()

    def wait_in_vain(*args: Any) -> None:
        raise IdempotencyKeyInUse("night-7")

    monkeypatch.setattr(type(IdempotencyKey.objects.all()), "_take", wait_in_vain)
    answer = admin.post("/jobs/backup/run", **KEY)
    problem(answer, 409, "IDEMPOTENCY_KEY_IN_USE")
    assert int(answer["Retry-After"]) > 0
