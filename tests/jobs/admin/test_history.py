"""A job's history and restoring a revision."""

from __future__ import annotations

from typing import Any

from django.test import Client

from jobs.models import Author, JobDefinition
from tests.jobs.admin.conftest import STAFF

JOB = "/admin/jobs/jobdefinition/greeting/"


def test_every_change_is_shown_before_and_after(admin: Client, make_job: Any) -> None:
    definition = make_job()
    definition = definition.edit(Author("otto", "api"), reason="too often", interval_seconds=7200)
    definition.pause(STAFF, reason="holiday")
    page = admin.get(f"{JOB}history/").content.decode()
    for text in (
        "otto",
        "api",
        "“too often”",
        "<del>1h</del>",
        "<ins>2h</ins>",
        "<ins>until resumed</ins>",
        "<ins>holiday</ins>",
        "The oldest known revision.",
    ):
        assert text in page


def test_restoring_a_revision_adds_a_new_one(admin: Client, make_job: Any) -> None:
    definition = make_job(kwargs={"times": 1})
    definition = definition.edit(STAFF, interval_seconds=60, kwargs={}, trigger="cron", cron="@daily")
    definition = definition.edit(STAFF, title="Later")
    admin.post(f"{JOB}revert/1/", {"expected_revision": 3, "reason": "it was better"})
    definition.refresh_from_db()
    assert (definition.revision, definition.trigger, definition.interval_seconds, definition.kwargs, definition.title) == (4, "interval", 3600, {"times": 1}, "")
    assert definition.history.first().history_change_reason == "it was better"


def test_restoring_a_revision_does_not_overwrite_a_newer_change(admin: Client, make_job: Any) -> None:
    definition = make_job().edit(STAFF, interval_seconds=60)
    definition.edit(STAFF, interval_seconds=30)
    answer = admin.post(f"{JOB}revert/1/", {"expected_revision": 2}, follow=True)
    assert "Another user changed the job." in answer.content.decode()
    assert JobDefinition.objects.get().interval_seconds == 30


def test_a_revision_that_is_no_longer_valid_is_not_restored(admin: Client, make_job: Any) -> None:
    definition = make_job()
    definition.edit(STAFF, interval_seconds=60)
    definition.history.filter(revision=1).update(timezone="Mars/Olympus")
    assert "Mars/Olympus" in admin.post(f"{JOB}revert/1/", {"expected_revision": 2}, follow=True).content.decode()
    assert JobDefinition.objects.get().timezone == "Europe/Vienna"


def test_an_unknown_revision_is_not_found(admin: Client, make_job: Any) -> None:
    make_job()
    assert admin.post(f"{JOB}revert/9/").status_code == 404


def test_a_long_history_comes_in_pages(admin: Client, make_job: Any) -> None:
    definition = make_job()
    for seconds in range(100, 160):
        definition = definition.edit(STAFF, interval_seconds=seconds)
    first, last = admin.get(f"{JOB}history/"), admin.get(f"{JOB}history/?p=3")
    assert len(first.context["entries"]) == 25
    assert all(entry["changes"] for entry in first.context["entries"])
    assert last.context["entries"][-1]["first"]
