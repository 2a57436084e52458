"""What the code says of a job, and what staff have changed against it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from jobs.models import JobDefinition
from jobs.registry import job, unregister
from tests.jobs.engine.manual_scheduler import STAFF

pytestmark = pytest.mark.django_db


@pytest.fixture
def scheduled_function() -> Iterator[str]:
    job("tests_scheduled", interval=timedelta(hours=1), title="Scheduled")(lambda limit=1: None)
    yield "tests_scheduled"
    unregister("tests_scheduled")


def stored(job_id: str) -> JobDefinition:
    return JobDefinition.objects.get(pk=job_id)


def test_the_code_makes_its_definitions_once(scheduled_function: str) -> None:
    made = JobDefinition.objects.register_defaults()
    definition = stored(scheduled_function)
    assert scheduled_function in [row.pk for row in made]
    assert (definition.origin, definition.interval_seconds, definition.title, definition.overridden) == ("code", 3600, "Scheduled", [])
    assert JobDefinition.objects.register_defaults() == []
    assert stored(scheduled_function).revision == definition.revision


def test_staff_win_over_the_code_field_by_field(scheduled_function: str) -> None:
    JobDefinition.objects.register_defaults()
    edited = stored(scheduled_function).edit(STAFF, interval_seconds=60)
    assert edited.overridden == ["interval_seconds"]
    edited.follow_code({"interval_seconds": 7200, "title": "A better title"})
    assert (stored(scheduled_function).interval_seconds, stored(scheduled_function).title) == (60, "A better title")


def test_a_field_can_be_given_back_to_the_code(scheduled_function: str) -> None:
    JobDefinition.objects.register_defaults()
    stored(scheduled_function).edit(STAFF, interval_seconds=60, title="Mine")
    reset = stored(scheduled_function).reset_to_default("interval_seconds", STAFF)
    assert (reset.interval_seconds, reset.title, reset.overridden) == (3600, "Mine", ["title"])
    with pytest.raises(ValidationError, match="The code has no default for this field"):
        reset.reset_to_default("kwargs", STAFF)


def test_setting_a_field_to_what_the_code_says_overrides_nothing(scheduled_function: str) -> None:
    JobDefinition.objects.register_defaults()
    assert stored(scheduled_function).edit(STAFF, interval_seconds=3600).overridden == []


def test_a_definition_that_staff_made_follows_no_code(scheduled_function: str) -> None:
    made = JobDefinition.objects.add(STAFF, id=scheduled_function, function=scheduled_function, interval_seconds=60)
    JobDefinition.objects.register_defaults()
    assert (made.origin, stored(scheduled_function).interval_seconds) == ("staff", 60)


def test_a_function_that_is_gone_leaves_its_definition_with_a_problem(scheduled_function: str) -> None:
    JobDefinition.objects.register_defaults()
    unregister(scheduled_function)
    JobDefinition.objects.register_defaults()
    assert "no job function is registered as 'tests_scheduled'" in (stored(scheduled_function).problem or "")
