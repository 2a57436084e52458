"""If-Match holds for every operation that changes something, and is compared as RFC 9110 says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.models import JobDefinition, JobRun
from tests.support.api import Caller, data, problem
from tests.support.rows import TESTER, make_job, make_run

pytestmark = pytest.mark.django_db

Ask = Callable[[Caller, str], Any]
CHANGES: dict[str, Ask] = {
    "change": lambda caller, tag: caller.patch("/jobs/backup", {"title": "New"}, **{"If-Match": tag}),
    "delete": lambda caller, tag: caller.delete("/jobs/backup", **{"If-Match": tag}),
    "run": lambda caller, tag: caller.post("/jobs/backup/run", **{"If-Match": tag}),
    "run with a key": lambda caller, tag: caller.post("/jobs/backup/run", **{"If-Match": tag, "Idempotency-Key": "one"}),
    "pause": lambda caller, tag: caller.post("/jobs/backup/pause", **{"If-Match": tag}),
    "resume": lambda caller, tag: caller.post("/jobs/backup/resume", **{"If-Match": tag}),
    "restore": lambda caller, tag: caller.post("/jobs/backup/restore", **{"If-Match": tag}),
}
REFUSED = ['"1"', 'W/"2"', '"1", "3"', '"another server\'s"', '"2-"', '"2-0123"', "2", "two", '"', "", '""', '"99999999999999999999"', 'W/"2", "1"']
ACCEPTED = ['"2"', '"1", "2"', '"1","x" ,W/"5",  "2"', "*", '"2-0123456789abcdef"', '"2-0123456789abcdef-gzip"']


def at_revision_two() -> None:
    make_job().edit(TESTER, title="Second")


@pytest.mark.parametrize("ask", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("tag", REFUSED)
def test_a_tag_that_does_not_match_changes_nothing(tag: str, ask: Ask, admin: Caller) -> None:
    at_revision_two()
    assert problem(ask(admin, tag), 412, "REVISION_MISMATCH")["revision"] == 2
    assert (JobDefinition.objects.get().revision, JobRun.objects.count()) == (2, 0)


@pytest.mark.parametrize("ask", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("tag", ACCEPTED)
def test_a_tag_that_matches_changes_the_job(tag: str, ask: Ask, admin: Caller) -> None:
    at_revision_two()
    answer = ask(admin, tag)
    assert answer.status_code in {200, 202}, answer.content
    assert (JobDefinition.objects.get().revision, JobRun.objects.count()) in {(3, 0), (2, 1)}


@pytest.mark.parametrize("ask", CHANGES.values(), ids=CHANGES)
def test_the_tag_that_a_client_has_read_matches_until_somebody_edits_the_job(ask: Ask, admin: Caller) -> None:
    job = make_job()
    tag = admin.get("/jobs/backup")["ETag"]
    make_run(job)
    assert admin.get("/jobs/backup")["ETag"] != tag
    data(admin.patch("/jobs/backup", {"title": "Mine"}, **{"If-Match": tag}))
    problem(ask(admin, tag), 412, "REVISION_MISMATCH")


def test_a_run_is_cancelled_as_it_was_read(admin: Caller) -> None:
    make_job()
    path = f"/runs/{data(admin.post('/jobs/backup/run'), 202)['run']['id']}"
    tag = admin.get(path)["ETag"]
    for refused in (f"W/{tag}", '"foreign"', '"0123456789abcdef"'):
        problem(admin.post(f"{path}/cancel", **{"If-Match": refused}), 412, "RUN_CHANGED")
    JobRun.objects.update(progress={"done": 1})
    problem(admin.post(f"{path}/cancel", **{"If-Match": tag}), 412, "RUN_CHANGED")
    tag = admin.get(path)["ETag"]
    assert data(admin.post(f"{path}/cancel", **{"If-Match": f'"x", {tag}'}))["run"]["status"] == "cancelled"


def test_a_repeated_request_is_answered_before_its_precondition_is_looked_at(admin: Caller) -> None:
    make_job()
    headers = {"Idempotency-Key": "one", "If-Match": '"1"'}
    first = data(admin.post("/jobs/backup/run", **headers), 202)
    data(admin.patch("/jobs/backup", {"title": "New"}))
    assert data(admin.post("/jobs/backup/run", **headers), 202) == first


def test_a_job_is_deleted_once(admin: Caller) -> None:
    make_job()
    data(admin.delete("/jobs/backup"))
    problem(admin.delete("/jobs/backup"), 404, "JOB_NOT_FOUND")
    assert JobDefinition.objects.get().revision == 2
