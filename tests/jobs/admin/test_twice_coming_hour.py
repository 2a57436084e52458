"""Times in the hour that comes twice, and in the one that is left out, in the form of a job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.admin.forms.actions import PauseForm
from jobs.models import JobDefinition

FIRST, SECOND = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
"""02:30 in Vienna, before and after the clock is set back."""


@pytest.fixture(autouse=True)
def _vienna(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Vienna"


@pytest.mark.parametrize("stored", [FIRST, SECOND])
@pytest.mark.parametrize("field", ["run_at", "starts_at", "ends_at"])
def test_a_stored_time_does_not_move_when_something_else_is_edited(post_job: Any, make_job: Any, field: str, stored: datetime) -> None:
    trigger = {"trigger": "once", "run_at": stored} if field == "run_at" else {field: stored}
    definition = make_job(**trigger)
    shown = {field: "2026-10-25T02:30:00"} | ({"trigger": "once"} if field == "run_at" else {})
    assert post_job(definition, title="edited", **shown).status_code == 302
    definition.refresh_from_db()
    assert (definition.title, getattr(definition, field)) == ("edited", stored)


def test_a_time_that_is_typed_is_the_first_of_the_two(post_job: Any, make_job: Any) -> None:
    definition = make_job()
    assert post_job(definition, starts_at="2026-10-25T02:30:00").status_code == 302
    assert JobDefinition.objects.get().starts_at == FIRST


def test_a_time_that_the_clock_leaves_out_is_refused(post_job: Any, make_job: Any) -> None:
    definition = make_job()
    answer = post_job(definition, starts_at="2026-03-29T02:30:00")
    assert answer.status_code == 200
    assert "starts_at" in answer.context["adminform"].form.errors


def test_a_pause_may_end_in_that_hour(db: None) -> None:
    form = PauseForm({"until": "2040-10-28T02:30:00", "reason": ""})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["until"] == datetime(2040, 10, 28, 0, 30, tzinfo=UTC)
