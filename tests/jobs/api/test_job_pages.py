"""Pages of the list of jobs."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from jobs.models import JobDefinition
from tests.support.api import ROOT, Caller, data, problem
from tests.support.rows import make_job, make_many_jobs, schedule

pytestmark = pytest.mark.django_db

ORDERS = [sign + name for name in ("id", "title", "next_run_time", "updated_at") for sign in ("", "-")]


def walk(caller: Caller, page: Any) -> list[str]:
    """The ids of this page and of all that follow."""
    found = [job["id"] for job in page["jobs"]]
    return found + walk(caller, data(caller.get(page["next"].removeprefix("http://testserver" + ROOT)))) if page["next"] else found


@pytest.mark.parametrize("order", ORDERS)
def test_a_cursor_shows_each_job_once_though_others_come_and_go(order: str, admin: Caller) -> None:
    at = now()
    for number in range(12):
        job = make_job(f"job-{number:02}", title=f"Title {number % 3}")
        if number % 4:
            schedule(job, at + timedelta(seconds=number % 2) if number % 4 > 1 else None)
    JobDefinition.objects.filter(pk__in=["job-01", "job-05", "job-09"]).update(updated_at=at)
    everything = [job["id"] for job in data(admin.get(f"/jobs?order={order}"))["jobs"]]
    assert walk(admin, data(admin.get(f"/jobs?order={order}&limit=1"))) == everything
    first = data(admin.get(f"/jobs?order={order}&limit=5"))
    JobDefinition.objects.filter(pk__in=[job["id"] for job in first["jobs"][:3]]).update(archived_at=at, updated_at=at - timedelta(days=1))
    assert walk(admin, first) == everything


def test_an_offset_keeps_working(admin: Caller) -> None:
    make_many_jobs(5)
    page = data(admin.get("/jobs?offset=1&limit=2"))
    assert "offset=3" in page["next"]
    assert walk(admin, page) == [f"job-{number:05}" for number in range(1, 5)]
    cursor = data(admin.get("/jobs?limit=2"))["next"].partition("cursor=")[2]
    assert problem(admin.get(f"/jobs?limit=2&offset=1&cursor={cursor}"), 422, "VALIDATION_ERROR")["errors"][0]["field"] == "offset"


@pytest.mark.parametrize("order", ["id", "-updated_at", "next_run_time"])
@pytest.mark.parametrize("value", ["garbage", "W10", "bnVsbA", "WyJ0aXRsZSIsICJhIiwgImEiXQ"])
def test_a_cursor_of_another_list_is_refused(value: str, order: str, admin: Caller) -> None:
    make_job()
    answer = admin.get(f"/jobs?order={order}&cursor={value}")
    assert problem(answer, 422, "VALIDATION_ERROR")["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("order", ["id", "-updated_at", "next_run_time"])
@pytest.mark.parametrize("value", [1, None, "a\0", "\ud800", True, [], {}, 10**30, -(10**30), 1.5])
def test_a_cursor_with_odd_values_is_refused_or_harmless(value: object, order: str, admin: Caller) -> None:
    make_job()
    for content in ([order, value, "a"], [order, "a", value], [order, value], {order: value}):
        text = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
        assert admin.get(f"/jobs?order={order}&cursor={text}").status_code in {200, 422}
