"""A client may keep responses of the API and ask whether they still hold, by GET or HEAD, compressed or not."""

from __future__ import annotations

import gzip
from typing import Any

import httpx2
import pytest
from django.test import Client

from jobs.models import JobRun
from tests.support.api import ADMIN_KEY, ROOT, Caller, data, problem
from tests.support.processes import Site
from tests.support.rows import make_job, make_many_jobs, make_run

pytestmark = pytest.mark.django_db

PATHS = ["/jobs", "/jobs/backup", "/jobs/backup/runs", "/runs", "/functions", "/auth/me", "/versions", "/mods", "/openapi.json"]
GZIP = {"Accept-Encoding": "gzip"}


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_the_client_has_is_not_sent_again(path: str, admin: Caller) -> None:
    make_job()
    first = admin.get(path)
    tag = first["ETag"]
    assert (first["Cache-Control"], admin.get(path)["ETag"]) == ("private, no-cache", tag)
    assert {"X-API-Key", "Authorization", "Cookie", "Accept-Encoding"} <= set(first["Vary"].split(", "))
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = admin.get(path, **{"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert {name: again[name] for name in ("ETag", "Cache-Control", "Vary")} == {name: first[name] for name in ("ETag", "Cache-Control", "Vary")}
        assert again["X-Request-ID"]
    for unknown in ('"other"', "", "nonsense", tag.strip('"')):
        assert admin.get(path, **{"If-None-Match": unknown}).content == first.content


def test_the_tag_of_a_job_changes_with_its_body_though_nobody_has_edited_it(admin: Caller) -> None:
    run = make_run(make_job(), status="running", finished_at=None, duration_seconds=None)
    before = admin.get("/jobs/backup")["ETag"]
    JobRun.objects.filter(pk=run.pk).update(status="failed", finished_at=run.started_at)
    answer = admin.get("/jobs/backup", **{"If-None-Match": before})
    assert data(answer)["job"]["last_run"]["status"] == "failed"
    assert answer["ETag"] != before


def test_a_change_is_answered_with_the_tag_of_the_new_body(admin: Caller) -> None:
    make_job()
    changed = admin.patch("/jobs/backup", {"title": "New"})
    assert changed["Cache-Control"] == "no-store"
    assert admin.get("/jobs/backup", **{"If-None-Match": changed["ETag"]}).status_code == 304


@pytest.mark.parametrize("path", [*PATHS, "/jobs/none", "/nonsense"])
@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "gzip"])
def test_head_is_get_without_the_body(headers: dict[str, str], path: str, admin: Caller) -> None:
    make_many_jobs(5)
    make_job()
    get, head = admin.get(path, **headers), admin.ask("HEAD", path, **headers)
    assert (head.status_code, head.content, int(head["Content-Length"])) == (get.status_code, b"", len(get.content))
    for name in ("ETag", "Content-Type", "Cache-Control", "Vary", "Content-Encoding"):
        assert head.get(name) == get.get(name)


def test_head_of_what_cannot_be_read_is_405(admin: Caller) -> None:
    assert admin.ask("HEAD", "/jobs/backup/pause").status_code == 405


def test_head_asks_for_a_key_too(anonymous: Caller) -> None:
    assert anonymous.ask("HEAD", "/jobs").status_code == 401


def test_a_compressed_body_has_a_tag_of_its_own_that_guards_as_well(admin: Caller) -> None:
    make_job()
    plain, packed = admin.get("/jobs/backup"), admin.get("/jobs/backup", **GZIP)
    assert (packed["Content-Encoding"], gzip.decompress(packed.content)) == ("gzip", plain.content)
    assert packed["ETag"] == plain["ETag"][:-1] + '-gzip"'
    assert admin.get("/jobs/backup", **GZIP).content == packed.content
    for tag in (plain["ETag"], packed["ETag"]):
        assert admin.get("/jobs/backup", **GZIP, **{"If-None-Match": tag}).status_code == 304
    data(admin.patch("/jobs/backup", {"title": "New"}, **{"If-Match": packed["ETag"]}))
    problem(admin.patch("/jobs/backup", {"title": "Lost"}, **{"If-Match": packed["ETag"]}), 412, "REVISION_MISMATCH")


def test_errors_are_not_kept(admin: Caller) -> None:
    answer = admin.get("/jobs/none", **{"If-None-Match": "*"})
    problem(answer, 404, "JOB_NOT_FOUND")
    assert (answer["Cache-Control"], "ETag" in answer) == ("no-store", False)


def test_no_cache_gives_the_metrics_of_one_caller_to_another() -> None:
    answer = Client().get("/metrics", headers={"X-API-Key": ADMIN_KEY})
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert {"X-API-Key", "Authorization", "Cookie"} <= set(answer["Vary"].split(", "))


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("asgi", [False, True], ids=["gunicorn", "uvicorn"])
def test_both_servers_send_what_the_application_says(site: Site, *, asgi: bool) -> None:
    make_job()
    with httpx2.Client(base_url=site.start_web(asgi=asgi, VS_API_KEY_ADMIN=ADMIN_KEY), trust_env=False, headers={"X-API-Key": ADMIN_KEY}) as client:
        first: Any = client.get(f"{ROOT}/jobs")
        assert (first.headers["Content-Encoding"], first.json()["data"]["total"]) == ("gzip", 1)
        again = client.get(f"{ROOT}/jobs", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = client.head(f"{ROOT}/jobs")
        assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", first.headers["ETag"])
        assert client.get(f"{ROOT}/auth/me").status_code == 200
