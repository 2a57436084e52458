"""The first page, and what every page keeps to."""

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

from jobs.admin.overview.charts import load_by_hour, timeline
from jobs.models import DatabaseEnvironment, JobDefinition, ScheduledJob
from jobs.schedule.triggers import TICK
from tests.jobs.admin.conftest import set_next_run


@pytest.fixture
def busy_house(make_job: Any, make_run: Any) -> Any:
    greeting = make_job(title="Greet everybody")
    set_next_run(greeting, greeting.schedule.next_fire_time(now()))
    running = make_run(greeting, "running", progress={"done": 1, "total": 4, "text": "waving"}, log="hello")
    make_run(greeting, "failed", ago=90, error="ValueError: nobody there", traceback="Traceback …")
    return running


def test_the_overview_says_what_runs_what_failed_and_what_comes(admin: Client, busy_house: Any, scheduler_alive: Any) -> None:
    page = admin.get("/admin/").content.decode()
    for text in ("Running now", "25 %", "waving", "ValueError: nobody there", "The next 24 hours", "Runs by hour", "scheduler-1", "every hour"):
        assert text in page
    assert page.count("<title") == page.count("</title>")
    assert page.count("As a table") == 2


def test_an_empty_house_says_how_to_begin(admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    assert "No jobs yet" in page
    assert "manage.py runscheduler" in page


def test_a_copied_database_says_why_nothing_runs(admin: Client, make_job: Any) -> None:
    make_job()
    DatabaseEnvironment.objects.create(pk=1, name="production")
    with override_settings(ENVIRONMENT="rehearsal"):
        assert "belongs to the environment “production”" in admin.get("/admin/").content.decode()


def test_a_person_without_permissions_sees_no_jobs(client_with: Any, make_job: Any) -> None:
    make_job(title="Greet everybody")
    page = client_with().get("/admin/")
    assert page.status_code == 200
    assert "Greet everybody" not in page.content.decode()


def test_the_timeline_has_a_mark_for_each_run_and_a_band_for_too_many(make_job: Any) -> None:
    hourly, busy = make_job("hourly"), make_job("busy", interval_seconds=1)
    moment = now()
    chart = timeline([hourly, busy], moment)
    assert [row.is_band for row in chart.rows] == [False, True]
    assert chart.rows[0].count == len(chart.rows[0].marks) == 24
    assert all(chart.labels <= mark["x"] <= chart.width for mark in chart.rows[0].marks)


def due_jobs(*definitions: Any) -> QuerySet[JobDefinition]:
    """The definitions as a scheduler has put them into the store."""
    for definition in definitions:
        set_next_run(definition, definition.schedule.next_fire_time(now()))
    return JobDefinition.objects.filter(scheduled__next_run_time__isnull=False)


def test_the_load_counts_every_run_of_the_next_day(make_job: Any) -> None:
    moment = now() + timedelta(seconds=1)
    definitions = [
        make_job("minutely", interval_seconds=60),
        make_job("odd", interval_seconds=7777),
        make_job("ends", interval_seconds=60, ends_at=moment + timedelta(hours=5)),
        make_job("begins", interval_seconds=900, starts_at=moment + timedelta(hours=7)),
        make_job("shaken", interval_seconds=600, jitter_seconds=500),
        make_job("nightly", trigger="cron", cron="30 2 * * *"),
        make_job("quarterly", trigger="cron", cron="*/15 * * * *"),
        make_job("quarterly-too", trigger="cron", cron="*/15 * * * *"),
        make_job("quarterly-until", trigger="cron", cron="*/15 * * * *", ends_at=moment + timedelta(hours=3)),
        make_job("once", trigger="once", run_at=moment + timedelta(hours=9)),
    ]
    chart = load_by_hour(due_jobs(*definitions), len(definitions), moment)
    hours = [localtime(moment).replace(minute=0, second=0, microsecond=0) + timedelta(hours=n) for n in range(25)]
    fires = [fire for definition in definitions for fire in definition.schedule.fire_times(moment - TICK, hours[-1])]
    assert [bar["count"] for bar in chart.bars] == [sum(start <= fire < end for fire in fires) for start, end in pairwise(hours)]
    assert (chart.total, chart.left_out) == (sum(hours[0] <= fire < hours[-1] for fire in fires), 0)


def test_a_job_that_was_paused_while_its_slot_came_is_counted_from_its_next_run_on(make_job: Any) -> None:
    moment = now().replace(minute=0, second=0, microsecond=0)
    definition = make_job("hourly")
    set_next_run(definition, moment + timedelta(hours=20, minutes=30))
    assert load_by_hour(JobDefinition.objects.all(), 1, moment).total == 4


def test_more_jobs_than_were_ever_looked_at_are_counted(admin: Client) -> None:
    moment = now()
    definitions = [JobDefinition(id=f"job-{n:05}", function="echo", interval_seconds=3600) for n in range(700)]
    JobDefinition.objects.bulk_create(definitions)
    ScheduledJob.objects.bulk_create([ScheduledJob(job=definition, next_run_time=moment + timedelta(minutes=5), job_state=b"") for definition in definitions])
    seen = admin.get("/admin/").context["seen"]
    assert (seen.load.left_out, seen.load.total) in {(0, 700 * 23), (0, 700 * 24)}
    assert seen.hidden == 680


def test_what_takes_too_long_to_count_is_left_out_and_said(admin: Client, make_job: Any) -> None:
    zones = ("Europe/Vienna", "Europe/London", "Asia/Tokyo", "Asia/Kolkata", "America/Lima", "Africa/Cairo", "Pacific/Fiji", "Asia/Dubai", "Asia/Tehran")
    due_jobs(*(make_job(f"job-{n}", trigger="cron", cron="* * * * *", timezone=zone) for n, zone in enumerate(zones)))
    answer = admin.get("/admin/")
    left_out = answer.context["seen"].load.left_out
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
def test_no_page_needs_inline_code_or_another_host(admin: Client, busy_house: Any, path: str) -> None:
    answer = admin.get("/admin/" + path.format(run=busy_house.pk), follow=True)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=\"|javascript:", page)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


def test_the_policy_allows_nothing_inline() -> None:
    assert "unsafe" not in str(settings.CONTENT_SECURITY_POLICY)
