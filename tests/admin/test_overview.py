"""The first page, and what every page keeps to."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.utils.timezone import now

from jobs.admin.charts import load_by_hour, timeline
from jobs.models import DatabaseEnvironment
from jobs.triggers import next_fire_time
from tests.admin.conftest import set_next_run


@pytest.fixture
def busy_house(make_job: Any, make_run: Any) -> Any:
    greeting = make_job(title="Greet everybody")
    set_next_run(greeting, next_fire_time(greeting, now()))
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


def test_the_load_counts_every_run_of_the_next_day(make_job: Any) -> None:
    moment = now().replace(minute=0, second=0, microsecond=0)
    jobs = [make_job("minutely", interval_seconds=60, created_at=moment - timedelta(days=1)), make_job("hourly", created_at=moment - timedelta(days=1))]
    for definition in jobs:
        definition.scheduled_from = moment - timedelta(days=1)
    chart = load_by_hour(jobs, moment)
    assert {bar["count"] for bar in chart.bars} == {61}
    assert chart.total == 24 * 61


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
