"""The overview, and rules that hold for every page."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings
from django.db.models import QuerySet
from django.test import Client, override_settings
from django.utils.timezone import localtime, now

from jobs.admin.overview.charts import load_chart, timeline
from jobs.models import DatabaseEnvironment, JobDefinition, ScheduledJob
from jobs.schedule.triggers import TICK
from tests.jobs.admin.conftest import set_next_run


@pytest.fixture
def busy_site(make_job: Any, make_run: Any) -> Any:
    greeting = make_job(title="Greet everybody")
    set_next_run(greeting, greeting.schedule.next_fire_time(now()))
    running = make_run(greeting, "running", progress={"done": 1, "total": 4, "text": "waving"}, log="hello")
    make_run(greeting, "failed", ago=90, error="ValueError: nobody there", traceback="Traceback …")
    return running


def test_the_overview_shows_active_failed_and_coming_runs(admin: Client, busy_site: Any, scheduler_alive: Any) -> None:
    page = admin.get("/admin/").content.decode()
    for text in ("Running now", "25 %", "waving", "ValueError: nobody there", "The next 24 hours", "Load in the next 24 hours", "scheduler-1", "every hour"):
        assert text in page
    assert page.count("<title") == page.count("</title>")
    assert page.count("As a table") == 2


@pytest.mark.parametrize(("running", "count"), [(0, "0"), (5, "5"), (6, "6+"), (9, "6+")])
def test_the_overview_counts_running_runs_up_to_the_number_that_it_shows(admin: Client, make_job: Any, make_run: Any, running: int, count: str) -> None:
    definition = make_job()
    for n in range(running):
        make_run(definition, "running", ago=n + 1)
    assert admin.get("/admin/").context["overview"].running_count == count


def test_the_overview_without_jobs_explains_how_to_start(admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    assert "No jobs yet" in page
    assert "manage.py runscheduler" in page


def test_a_database_of_another_environment_is_explained(admin: Client, make_job: Any) -> None:
    make_job()
    DatabaseEnvironment.objects.create(pk=1, name="production")
    with override_settings(JOBS_ENVIRONMENT="rehearsal"):
        assert "belongs to the environment “production”" in admin.get("/admin/").content.decode()


def test_a_user_without_permissions_sees_no_jobs(client_with: Any, make_job: Any) -> None:
    make_job(title="Greet everybody")
    page = client_with().get("/admin/")
    assert page.status_code == 200
    assert "Greet everybody" not in page.content.decode()


def test_the_timeline_has_a_mark_for_each_run_and_a_band_for_too_many(make_job: Any) -> None:
    hourly, busy = make_job("hourly"), make_job("busy", interval_seconds=1)
    at = now()
    chart = timeline([hourly, busy], at)
    assert [row.is_band for row in chart.rows] == [False, True]
    assert chart.rows[0].count == len(chart.rows[0].marks) == 24
    assert all(chart.labels <= mark["x"] <= chart.width for mark in chart.rows[0].marks)


def due_jobs(*definitions: Any) -> QuerySet[JobDefinition]:
    """The definitions with rows in the store, as a scheduler writes them."""
    for definition in definitions:
        set_next_run(definition, definition.schedule.next_fire_time(now()))
    return JobDefinition.objects.filter(scheduled__next_run_time__isnull=False)


def test_the_load_counts_every_run_of_the_next_day(make_job: Any) -> None:
    at = now() + timedelta(seconds=1)
    definitions = [
        make_job("minutely", interval_seconds=60),
        make_job("odd", interval_seconds=7777),
        make_job("ends", interval_seconds=60, ends_at=at + timedelta(hours=5)),
        make_job("begins", interval_seconds=900, starts_at=at + timedelta(hours=7)),
        make_job("shaken", interval_seconds=600, jitter_seconds=500),
        make_job("nightly", trigger="cron", cron="30 2 * * *"),
        make_job("quarterly", trigger="cron", cron="*/15 * * * *"),
        make_job("quarterly-too", trigger="cron", cron="*/15 * * * *"),
        make_job("quarterly-until", trigger="cron", cron="*/15 * * * *", ends_at=at + timedelta(hours=3)),
        make_job("once", trigger="once", run_at=at + timedelta(hours=9)),
    ]
    chart = load_chart(due_jobs(*definitions), len(definitions), at)
    hours = [localtime(at).replace(minute=0, second=0, microsecond=0) + timedelta(hours=n) for n in range(25)]
    fires = [fire for definition in definitions for fire in definition.schedule.fire_times(at - TICK, hours[-1])]
    assert [bar["count"] for bar in chart.bars] == [sum(start <= fire < end for fire in fires) for start, end in pairwise(hours)]
    assert (chart.total, chart.left_out) == (sum(hours[0] <= fire < hours[-1] for fire in fires), 0)


def test_a_job_that_was_paused_while_its_slot_came_is_counted_from_its_next_run_on(make_job: Any) -> None:
    at = now().replace(minute=0, second=0, microsecond=0)
    definition = make_job("hourly")
    set_next_run(definition, at + timedelta(hours=20, minutes=30))
    assert load_chart(JobDefinition.objects.all(), 1, at).total == 4


def test_all_of_seven_hundred_jobs_are_counted(admin: Client) -> None:
    at = now()
    definitions = [JobDefinition(id=f"job-{n:05}", function="echo", interval_seconds=3600) for n in range(700)]
    JobDefinition.objects.bulk_create(definitions)
    ScheduledJob.objects.bulk_create([ScheduledJob(job=definition, next_run_time=at + timedelta(minutes=5), job_state=b"") for definition in definitions])
    overview = admin.get("/admin/").context["overview"]
    assert (overview.load.left_out, overview.load.total) in {(0, 700 * 23), (0, 700 * 24)}
    assert overview.hidden == 680


def test_jobs_that_take_too_long_to_count_are_left_out_and_mentioned(admin: Client, make_job: Any) -> None:
    zones = ("Europe/Vienna", "Europe/London", "Asia/Tokyo", "Asia/Kolkata", "America/Lima", "Africa/Cairo", "Pacific/Fiji", "Asia/Dubai", "Asia/Tehran")
    due_jobs(*(make_job(f"job-{n}", trigger="cron", cron="* * * * *", timezone=zone) for n, zone in enumerate(zones)))
    answer = admin.get("/admin/")
    left_out = answer.context["overview"].load.left_out
    assert left_out in {1, 2}  # the day has 23 full hours and what is left of this one
    assert answer.content.decode().count(f"without {left_out} job") == 2


PAGES = ["", "jobs/jobdefinition/", "jobs/jobdefinition/add/", "jobs/jobdefinition/greeting/change/", "jobs/jobdefinition/greeting/history/"]
PAGES += [
    "jobs/jobdefinition/greeting/run/",
    "jobs/jobdefinition/greeting/pause/",
    "jobs/jobrun/",
    "jobs/jobrun/{run}/change/",
    "login/",
    "password_change/",
    "auth/user/",
]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_needs_inline_code_or_another_host(admin: Client, busy_site: Any, path: str) -> None:
    answer = admin.get("/admin/" + path.format(run=busy_site.pk), follow=True)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=\"|javascript:", page)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


def test_the_policy_allows_nothing_inline() -> None:
    assert "unsafe" not in str(settings.CONTENT_SECURITY_POLICY)
