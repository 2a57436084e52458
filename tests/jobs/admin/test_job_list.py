"""The jobs list."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from jobs.models import JobDefinition, JobRun
from tests.jobs.admin.conftest import STAFF, set_next_run

LIST = "/admin/jobs/jobdefinition/"


def titles(client: Client, query: str = "") -> list[str]:
    return [row.pk for row in client.get(LIST + query).context["cl"].result_list]


def test_a_row_shows_schedule_next_run_and_last_run(admin: Client, make_job: Any, make_run: Any, scheduler_alive: Any) -> None:
    definition = make_job(title="Greet everybody", interval_seconds=14_400)
    set_next_run(definition, now() + timedelta(minutes=12, seconds=30))
    make_run(definition, "failed", duration_seconds=2.5)
    page = admin.get(LIST).content.decode()
    for text in ("Greet everybody", "greeting", "every 4 hours", "in 12 min", "failed", "2.5 s", "Last run: 1 failed", "mira", "scheduler-1"):
        assert text in page


def test_a_late_job_is_marked_as_overdue(admin: Client, make_job: Any, scheduler_alive: Any) -> None:
    set_next_run(make_job("late"), now() - timedelta(minutes=5))
    set_next_run(make_job("early"), now() + timedelta(minutes=5))
    assert admin.get(LIST).content.decode().count('<span class="vs-badge vs-badge--warn">overdue</span>') == 1


def test_the_page_warns_when_no_scheduler_runs(admin: Client, make_job: Any) -> None:
    make_job()
    assert "No scheduler is running, so no jobs are starting." in admin.get(LIST).content.decode()


def test_the_page_without_jobs_explains_how_to_start(admin: Client) -> None:
    assert "No jobs yet" in admin.get(LIST).content.decode()


def test_ten_thousand_jobs_with_a_history_take_ten_queries(client_with: Any, django_assert_max_num_queries: Any, request: Any) -> None:
    at = now()
    definitions = [JobDefinition(id=f"job-{n:05}", function="echo", interval_seconds=60, applied_revision=1, created_at=at) for n in range(10_000)]
    JobDefinition.objects.bulk_create(definitions)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_apscheduler_djangojob (id, next_run_time, job_state) SELECT id, %s, %s FROM jobs_jobdefinition", [at, b""])
    JobDefinition.history.bulk_history_create(definitions[:100], default_date=at)
    runs = [JobRun(job_id=f"job-{n:05}", scheduled_for=at - timedelta(minutes=k), status="succeeded", finished_at=at) for n in range(100) for k in range(40)]
    JobRun.objects.bulk_create(runs)
    definitions[0].edit(STAFF, title="Edited by hand")
    superuser, staff = client_with(superuser=True), client_with("view_jobdefinition", "change_jobdefinition", "run_jobdefinition")
    for client in (superuser, staff):
        client.get("/admin/")  # the first request of a session saves when it was used
    for scheduler in (False, True):
        if scheduler:
            request.getfixturevalue("scheduler_alive")
        with django_assert_max_num_queries(8):
            superuser.get(LIST)
        with django_assert_max_num_queries(10):  # a user who is no superuser has two queries for permissions
            answer = staff.get(LIST)
        check_ten_thousand(answer.context["cl"], at)


def check_ten_thousand(changelist: Any, at: datetime) -> None:
    rows = changelist.result_list
    assert changelist.result_count == 10_000
    assert [len(row.latest.runs) for row in rows] == [30] * 50
    assert [run.pk for run in rows[0].latest.runs] == list(JobRun.objects.filter(job="job-00000").order_by("-scheduled_for").values_list("pk", flat=True)[:30])
    assert (rows[0].latest.slot, rows[0].latest.changed_by, rows[1].latest.changed_by) == (at, "mira", "")


def test_the_filters_narrow_the_list(admin: Client, make_job: Any, make_run: Any) -> None:
    make_run(make_job("broken"), "failed")
    make_run(make_job("fine"))
    make_job("never")
    make_job("off", enabled=False)
    make_job("quiet").pause(STAFF)
    make_job("gone").archive(STAFF)
    late = make_job("late", trigger="cron", cron="@daily")
    set_next_run(late, now() - timedelta(minutes=5))
    assert "gone" not in titles(admin)
    assert titles(admin, "?state=archived") == ["gone"]
    assert titles(admin, "?state=off") == ["off"]
    assert titles(admin, "?state=paused") == ["quiet"]
    assert titles(admin, "?state=overdue") == ["late"]
    assert titles(admin, "?last_run=failed") == ["broken"]
    assert set(titles(admin, "?last_run=none")) == {"late", "never", "off", "quiet"}
    assert titles(admin, "?trigger__exact=cron") == ["late"]
    assert titles(admin, "?overridden=yes") == []
    assert "fine" in titles(admin, "?overridden=no")
    assert titles(admin, "?q=fin") == ["fine"]


def test_an_interval_is_edited_in_the_list(admin: Client, make_job: Any, scheduler_alive: Any) -> None:
    definition = make_job()
    admin.post(f"{LIST}greeting/inline-edit/", {"interval": "15m", "expected_revision": definition.revision, "next": f"{LIST}?q=greet"})
    definition.refresh_from_db()
    assert definition.interval_seconds == 900
    assert definition.history.first().author == "user0"


def test_a_job_is_switched_off_in_the_list(admin: Client, make_job: Any) -> None:
    definition = make_job()
    answer = admin.post(f"{LIST}greeting/inline-edit/", {"enabled": "off", "expected_revision": definition.revision}, follow=True)
    definition.refresh_from_db()
    assert not definition.enabled
    assert "No scheduler is running" in answer.content.decode()


@pytest.mark.parametrize("interval", ["-1", "1.5", "10000000000000", "soon"])
def test_a_bad_interval_in_the_list_is_explained_and_not_stored(admin: Client, make_job: Any, interval: str) -> None:
    definition = make_job()
    answer = admin.post(f"{LIST}greeting/inline-edit/", {"interval": interval, "expected_revision": 1}, follow=True)
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]
    definition.refresh_from_db()
    assert (definition.interval_seconds, definition.revision) == (3600, 1)


def test_an_inline_edit_does_not_overwrite_a_newer_change(admin: Client, make_job: Any) -> None:
    definition = make_job()
    definition.edit(STAFF, interval_seconds=60)
    answer = admin.post(f"{LIST}greeting/inline-edit/", {"interval": "15m", "expected_revision": 1}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["mira changed greeting. Your change is not saved: check theirs and try again. interval: 1h → 1m."]
    definition.refresh_from_db()
    assert definition.interval_seconds == 60


def test_the_redirect_after_an_inline_edit_stays_on_the_site(admin: Client, make_job: Any) -> None:
    make_job()
    assert admin.post(f"{LIST}greeting/inline-edit/", {"enabled": "off", "next": "https://example.org/"})["Location"] == LIST


def test_a_job_without_a_registered_function_shows_the_problem(admin: Client, make_job: Any) -> None:
    make_job()
    JobDefinition.objects.update(function="ecco")
    for path in (LIST, f"{LIST}greeting/change/", "/admin/"):
        answer = admin.get(path)
        assert answer.status_code == 200
    assert "the nearest registered name is &#x27;echo&#x27;" in admin.get(LIST).content.decode()


def test_a_damaged_row_breaks_no_page(admin: Client, make_job: Any) -> None:
    make_job(trigger="cron", cron="@daily")
    JobDefinition.objects.update(cron="61 * * * *", timezone="Mars/Olympus", kwargs=[1])
    for path in (LIST, f"{LIST}greeting/change/", f"{LIST}greeting/history/", "/admin/"):
        assert admin.get(path).status_code == 200
