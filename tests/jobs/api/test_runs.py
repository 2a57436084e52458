from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from jobs.models import JobRun
from tests.support.api import ROOT, Caller, data, problem
from tests.support.rows import make_job, make_run

pytestmark = pytest.mark.django_db


def walk(caller: Caller, path: str) -> list[int]:
    """The ids of all pages."""
    found, next_page = [], path
    while next_page:
        page = data(caller.get(next_page.removeprefix("http://testserver" + ROOT)))
        found += [run["id"] for run in page["runs"]]
        next_page = page["next"]
    return found


def test_a_requested_run_is_accepted_with_its_address(admin: Caller) -> None:
    make_job()
    answer = admin.post("/jobs/backup/run")
    run = data(answer, 202)["run"]
    assert (run["status"], run["cause"], run["requested_by"]) == ("queued", "manual", "VS_API_KEY_ADMIN")
    assert answer["Location"].endswith(f"{ROOT}/runs/{run['id']}")
    assert data(admin.get(f"/runs/{run['id']}"))["run"]["id"] == run["id"]


def test_a_run_may_replace_single_arguments(admin: Caller, copy_world: str) -> None:
    make_job(function=copy_world, kwargs={"target": "/a", "limit": 3})
    assert data(admin.post("/jobs/backup/run", {"kwargs": {"target": "/b"}}), 202)["run"]["kwargs"] == {"target": "/b", "limit": 3}
    refused = problem(admin.post("/jobs/backup/run", {"kwargs": {"nonsense": 1}}), 422, "VALIDATION_ERROR")
    assert refused["errors"][0]["field"] == "kwargs"
    assert JobRun.objects.count() == 1


@pytest.mark.parametrize("path", ["/runs?limit=2", "/jobs/backup/runs?limit=2", "/runs?job=backup&limit=2"])
def test_a_cursor_shows_each_run_once_though_new_ones_arrive(path: str, admin: Caller) -> None:
    job = make_job()
    slot = now()
    runs = [make_run(job, slot - timedelta(minutes=number), attempt=attempt) for number in (2, 1, 0) for attempt in (1, 2)]
    first = data(admin.get(path))
    make_run(job, slot + timedelta(minutes=1))
    rest = walk(admin, first["next"])
    assert [run["id"] for run in first["runs"]] + rest == [run.pk for run in reversed(runs)]


def test_runs_are_filtered_by_status(admin: Caller) -> None:
    job = make_job()
    failed = make_run(job, now() - timedelta(minutes=1), status="failed")
    make_run(job)
    assert walk(admin, "/runs?status=failed") == walk(admin, "/jobs/backup/runs?status=failed") == [failed.pk]


@pytest.mark.parametrize("cursor", ["garbage", "MQ", "Li4u", "LTE", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS4x"])
def test_a_cursor_of_another_list_is_refused_or_harmless(cursor: str, admin: Caller) -> None:
    make_job()
    answer = admin.get(f"/jobs/backup/runs?cursor={cursor}")
    assert problem(answer, 422, "VALIDATION_ERROR")["errors"][0]["field"] == "cursor"


def test_a_page_of_runs_takes_one_query(admin: Caller, django_assert_num_queries: Any) -> None:
    job = make_job()
    for minutes in range(60):
        make_run(job, now() - timedelta(minutes=minutes))
    with django_assert_num_queries(1):
        admin.get("/runs?limit=50")


def test_a_run_tells_its_story(admin: Caller) -> None:
    run = make_run(make_job(), status="failed", error="boom", traceback="Traceback …", log="line one\nline two", result={"a": 1})
    shown = data(admin.get(f"/runs/{run.pk}"))["run"]
    assert (shown["error"], shown["traceback"], shown["result"], shown["duration"], shown["lateness"]) == ("boom", "Traceback …", {"a": 1}, 1.0, 0.0)
    assert data(admin.get(f"/runs/{run.pk}/log"))["log"] == "line one\nline two"


def test_cancelling_ends_a_waiting_run_and_refuses_an_ended_one(admin: Caller) -> None:
    make_job()
    run_id = data(admin.post("/jobs/backup/run"), 202)["run"]["id"]
    assert data(admin.post(f"/runs/{run_id}/cancel"))["run"]["status"] == "cancelled"
    ended = make_run(make_job("other"))
    problem(admin.post(f"/runs/{ended.pk}/cancel"), 409, "RUN_FINISHED")


@pytest.mark.parametrize("run_id", ["999", "9223372036854775807"])
def test_an_unknown_run_is_404(run_id: str, admin: Caller) -> None:
    for path in (f"/runs/{run_id}", f"/runs/{run_id}/log"):
        problem(admin.get(path), 404, "RUN_NOT_FOUND")
    problem(admin.post(f"/runs/{run_id}/cancel"), 404, "RUN_NOT_FOUND")


@pytest.mark.parametrize("run_id", ["0", "-1", "x", "1.5", "9223372036854775808", "1" * 5000])
def test_a_run_id_that_cannot_be_is_named(run_id: str, admin: Caller) -> None:
    assert problem(admin.get(f"/runs/{run_id}"), 422, "VALIDATION_ERROR")["errors"][0]["field"] == "run_id"
