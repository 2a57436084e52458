"""The preview of a schedule that is being edited."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils.timezone import now

from jobs.admin.job.preview import clock_changes, preview
from jobs.models import JobDefinition
from tests.jobs.admin.conftest import set_next_run

PREVIEW = "/admin/jobs/jobdefinition/preview/"
VIENNA = ZoneInfo("Europe/Vienna")


def typed(**fields: str) -> dict[str, str]:
    return {"trigger": "interval", "interval_seconds": "", "cron": "", "run_at": "", "timezone": "UTC", "starts_at": "", "ends_at": "", "jitter_seconds": ""} | fields


def test_a_schedule_is_described_and_shown_in_both_zones(viewer: Client) -> None:
    page = viewer.get(PREVIEW, typed(trigger="cron", cron="30 2 * * 1-5", timezone="Europe/Vienna", viewer_zone="Asia/Tokyo")).content.decode()
    for text in ("at 02:30 on weekdays, Europe/Vienna", "Asia/Tokyo", "02:30:00 CE", "JST"):
        assert text in page
    assert page.count("<tr>") == 6


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"interval_seconds": "soon"}, "is not a duration"),
        ({"interval_seconds": ""}, "Enter an interval"),
        ({"trigger": "cron", "cron": "61 * * * *"}, "The minute field cannot be 61"),
        ({"interval_seconds": "1h", "timezone": "Europe/Wien"}, "Unknown time zone"),
        ({"trigger": "once"}, "needs a time"),
    ],
)
def test_an_invalid_schedule_shows_the_reason(viewer: Client, fields: dict[str, str], complaint: str) -> None:
    page = viewer.get(PREVIEW, typed(**fields)).content.decode()
    assert "Not a valid schedule" in page
    assert complaint in page


def test_a_job_that_is_switched_off_is_previewed_too(viewer: Client, make_job: Any) -> None:
    make_job(enabled=False)
    assert "every 15 minutes" in viewer.get(PREVIEW, typed(job="greeting", interval_seconds="15m")).content.decode()


def test_a_preview_stores_nothing(viewer: Client, make_job: Any) -> None:
    definition = make_job()
    viewer.get(PREVIEW, typed(job="greeting", interval_seconds="1s"))
    definition.refresh_from_db()
    assert definition.revision == 1


def test_a_schedule_at_the_same_second_as_many_others_has_a_warning(viewer: Client, make_job: Any) -> None:
    midnight = (now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(12):
        set_next_run(make_job(f"night-{number}", trigger="cron", cron="@daily", timezone="UTC"), midnight)
    assert "12 other jobs start at the same second" in viewer.get(PREVIEW, typed(trigger="cron", cron="@daily")).content.decode()
    assert "other jobs" not in viewer.get(PREVIEW, typed(trigger="cron", cron="1 0 * * *")).content.decode()


def nightly() -> JobDefinition:
    return JobDefinition(pk="n", function="echo", trigger="cron", cron="30 2 * * *", timezone="Europe/Vienna", scheduled_from=datetime(2026, 1, 1, tzinfo=UTC))


def test_both_days_of_a_clock_change_are_shown_when_one_is_near() -> None:
    changes = clock_changes(nightly(), VIENNA, datetime(2026, 3, 1, tzinfo=UTC))
    assert [(change["day"], change["forward"]) for change in changes] == [(date(2026, 3, 29), True), (date(2026, 10, 25), False)]
    assert [f"{time:%H:%M %Z}" for time in changes[0]["times"]] == ["03:00 CEST"]


def test_no_clock_change_is_shown_when_none_is_near_or_none_exists() -> None:
    assert clock_changes(nightly(), VIENNA, datetime(2026, 5, 1, tzinfo=UTC)) == []
    assert clock_changes(nightly(), ZoneInfo("UTC"), datetime(2026, 3, 1, tzinfo=UTC)) == []


def test_the_next_five_runs_are_shown_in_the_zone_of_the_job(db: None) -> None:
    shown = preview(nightly(), VIENNA, datetime(2026, 3, 1, tzinfo=UTC))
    assert [time["job"].hour for time in shown["times"]] == [2] * 5


def test_the_arguments_of_another_function_are_fetched(viewer: Client) -> None:
    page = viewer.get("/admin/jobs/jobdefinition/arguments/", {"function": "needs_a_name"}).content.decode()
    assert 'name="arg_name"' in page
    assert 'name="kwargs"' in viewer.get("/admin/jobs/jobdefinition/arguments/", {"function": "gone"}).content.decode()
