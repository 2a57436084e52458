"""Field labels, field values and times as texts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import override_settings
from django.utils.translation import override

from jobs.admin.job.history import TRACKED
from jobs.admin.wording import label_of, show_time, show_value
from jobs.models import FOREVER, JobDefinition, Trigger

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("title", "", "—"),
        ("run_at", None, "—"),
        ("title", "Greet", "Greet"),
        ("coalesce", True, "yes"),
        ("enabled", False, "no"),
        ("interval_seconds", 5_400, "1h 30m"),
        ("interval_seconds", 0, "0"),
        ("max_retries", 3, "3"),
        ("kwargs", {"who": "Jürgen"}, '{"who": "Jürgen"}'),
        ("trigger", "interval", Trigger.INTERVAL.label),
        ("trigger", "sundial", "sundial"),
        ("paused_until", FOREVER, "until resumed"),
    ],
)
def test_a_value_is_shown_as_staff_enter_it(field: str, value: Any, text: str) -> None:
    assert show_value(field, value) == text


def test_every_field_of_the_history_has_a_label_and_a_value() -> None:
    job = JobDefinition(id="greeting", function="echo")
    for field in TRACKED:
        assert label_of(field)
        assert show_value(field, getattr(job, field))


def test_a_time_is_shown_in_the_zone_that_it_names() -> None:
    assert show_time(NOON, "Asia/Tokyo") == "2026-07-01 21:00:00 JST"


@override_settings(TIME_ZONE="Europe/Vienna")
def test_a_time_without_a_zone_is_shown_in_the_zone_of_the_site() -> None:
    assert show_time(NOON) == "2026-07-01 14:00:00 CEST"


def test_a_value_follows_the_language_of_the_page() -> None:
    with override("de"):
        assert show_value("coalesce", True) == "ja"
