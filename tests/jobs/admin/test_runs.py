"""The runs list and a run's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localtime, now

from jobs.admin.run.changelist import first_id_since
from jobs.models import JobRun, Status
from jobs.templatetags.jobs_admin import BADGES

RUNS = "/admin/jobs/jobrun/"


def listed(client: Client, query: str = "") -> list[int]:
    return [run.pk for run in client.get(RUNS + query).context["cl"].result_list]


def test_every_status_has_a_badge() -> None:
    assert set(BADGES) == set(Status)


def test_the_filters_and_the_search_narrow_the_list(admin: Client, make_job: Any, make_run: Any) -> None:
    greeting, backup = make_job(title="Greet"), make_job("backup", title="Back up")
    fine, failed, waiting = make_run(greeting), make_run(backup, "failed", ago=30), make_run(backup, "queued", ago=1)
    assert listed(admin) == [waiting.pk, failed.pk, fine.pk]
    assert listed(admin, "?status=bad") == [failed.pk]
    assert listed(admin, "?status=active") == [waiting.pk]
    assert listed(admin, "?status=succeeded") == [fine.pk]
    assert listed(admin, "?cause=manual") == []
    assert listed(admin, "?job=backup") == [waiting.pk, failed.pk]
    assert listed(admin, "?q=greet") == [fine.pk]
    assert listed(admin, f"?q=%23{failed.pk}") == [failed.pk]
    assert listed(admin, "?q=nothing") == []


@pytest.mark.parametrize("query", ["?", "?job=greeting&"])
def test_older_runs_follow_page_by_page(admin: Client, make_job: Any, query: str) -> None:
    definition, at = make_job(), now()
    JobRun.objects.bulk_create(JobRun(job=definition, scheduled_for=at + timedelta(seconds=n), status="succeeded", finished_at=at) for n in range(120))
    seen: list[int] = []
    url = query
    while url:
        changelist = admin.get(RUNS + url).context["cl"]
        seen += [run.pk for run in changelist.result_list]
        url = changelist.older_url
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 120


def test_the_list_of_a_day_covers_midnight_to_midnight(admin: Client, make_job: Any) -> None:
    definition, today = make_job(), localtime(now()).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=n) for n in range(40, -1, -1)]
    JobRun.objects.bulk_create(
        JobRun(job=definition, scheduled_for=day + step, queued_at=day + step, status="succeeded", finished_at=day + step)
        for day in days
        for step in (timedelta(0), timedelta(hours=12))
    )
    wanted = days[5]
    for query in (f"?on={wanted:%Y-%m-%d}", f"?on={wanted:%Y-%m-%d}&job=greeting"):
        runs = admin.get(RUNS + query).context["cl"].result_list
        assert {localtime(run.scheduled_for).date() for run in runs} == {wanted.date()}
        assert len(runs) == 2
    assert first_id_since(today + timedelta(days=9)) == JobRun.objects.latest("pk").pk + 1


@pytest.mark.parametrize(
    "query", ["?on=2026-13", "?on=soon", "?on=2026-02-31", "?before=x", "?before=999999999999999999999", "?job=unknown&before=5", "?nonsense=1", "?on=99999"]
)
def test_an_invalid_address_breaks_no_page(admin: Client, make_job: Any, make_run: Any, query: str) -> None:
    make_run(make_job())
    assert admin.get(RUNS + query).status_code in {200, 302}


def test_a_page_of_a_long_history_is_not_counted(admin: Client, make_job: Any, request: Any) -> None:
    definition, at = make_job(), now()
    JobRun.objects.bulk_create(
        (JobRun(job=definition, scheduled_for=at - timedelta(seconds=n), queued_at=at, status="succeeded", finished_at=at) for n in range(20_000)),
        batch_size=5_000,
    )
    admin.get(RUNS)
    second = f"?job=greeting&before={JobRun.objects.order_by('pk')[50].pk}"
    for scheduler in (False, True):
        if scheduler:
            request.getfixturevalue("scheduler_alive")
        for query, most in (("", 8), (f"?on={localtime(at):%Y}", 60), ("?status=bad", 8), ("?job=greeting", 8), (second, 8)):
            with CaptureQueriesContext(connection) as queries:
                admin.get(RUNS + query)
            assert len(queries) <= most
            assert not [query["sql"] for query in queries if query["sql"].startswith("SELECT COUNT")]


def test_the_page_shows_the_details_of_a_run(admin: Client, make_job: Any, make_run: Any) -> None:
    definition = make_job(kwargs={"times": 2})
    run = make_run(definition, "failed", error="ValueError: no", traceback="Traceback …", log="line one", result=None, cause="schedule")
    make_run(definition, attempt=2, ago=0)
    JobRun.objects.exclude(pk=run.pk).update(scheduled_for=run.scheduled_for)
    page = admin.get(f"{RUNS}{run.pk}/change/").content.decode()
    for text in ("failed", "ValueError: no", "Traceback …", "line one", "scheduler-1", "Attempts", "CET", "&quot;times&quot;: 2"):
        assert text in page
    assert "<details><summary>Traceback" in page


def test_a_run_that_is_pruned_is_not_found(admin: Client) -> None:
    for number in ("7", "99999999999999999999"):
        assert admin.get(f"{RUNS}{number}/change/").status_code == 404


def test_a_running_run_is_followed(admin: Client, make_job: Any, make_run: Any) -> None:
    run = make_run(make_job(), "running", log="one\ntwo 🎉\n", progress={"done": 3, "total": 8, "text": "packing"})
    answer = admin.get(f"{RUNS}{run.pk}/follow/?log_from=4").json()
    assert (answer["log_from"], answer["log"], answer["log_to"]) == (4, "two 🎉\n", 10)
    assert answer["progress"] == {"percent": 38, "text": "3 of 8 · packing"}
    assert answer["active"] is True


def test_a_long_log_is_sent_whole_because_its_middle_changes(admin: Client, make_job: Any, make_run: Any) -> None:
    run = make_run(make_job(), "running", log="x" * 40_000)
    answer = admin.get(f"{RUNS}{run.pk}/follow/?log_from=40000").json()
    assert (answer["log_from"], len(answer["log"])) == (0, 40_000)


@pytest.mark.parametrize("progress", [None, {}, {"done": 1, "total": 0}, {"done": "a", "total": 2}, [1], {"done": 9, "total": 3, "text": None}])
def test_any_progress_can_be_shown(admin: Client, make_job: Any, make_run: Any, progress: Any) -> None:
    run = make_run(make_job(), "running", progress=progress)
    assert admin.get(f"{RUNS}{run.pk}/change/").status_code == 200
    assert admin.get(f"{RUNS}{run.pk}/follow/").status_code == 200
    assert admin.get("/admin/").status_code == 200


def test_a_waiting_run_is_cancelled_at_once_and_an_ended_one_not_at_all(admin: Client, make_job: Any, make_run: Any) -> None:
    definition = make_job()
    waiting, ended = make_run(definition, "queued", ago=1), make_run(definition)
    admin.post(f"{RUNS}{waiting.pk}/cancel/")
    waiting.refresh_from_db()
    assert (waiting.status, waiting.reason) == ("cancelled", "cancelled by user0")
    assert "has already ended" in admin.post(f"{RUNS}{ended.pk}/cancel/", follow=True).content.decode()


def test_a_running_run_is_asked_to_stop(admin: Client, make_job: Any, make_run: Any) -> None:
    run = make_run(make_job(), "running")
    page = admin.post(f"{RUNS}{run.pk}/cancel/", follow=True).content.decode()
    assert "Cancellation requested." in page
    assert "stopping…" in page


def test_a_run_for_several_scheduled_times_says_so(admin: Client, make_job: Any, make_run: Any) -> None:
    run = make_run(make_job(), slots=4)
    for path in (RUNS, f"{RUNS}{run.pk}/change/"):
        assert "covers 4 scheduled times" in admin.get(path).content.decode()


def test_a_run_is_repeated_with_its_own_arguments(admin: Client, make_job: Any, make_run: Any) -> None:
    run = make_run(make_job(kwargs={"times": 1}), kwargs={"times": 5})
    admin.post(f"{RUNS}{run.pk}/again/")
    assert JobRun.objects.latest("pk").kwargs == {"times": 5}
