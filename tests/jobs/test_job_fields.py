"""The lists that a new field of a job touches agree with the table."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.admin.forms.job import JobForm, ScheduleForm
from jobs.api.inputs import JobChange, ScheduleFields
from jobs.api.schemas import JobOut
from jobs.maintenance.transfer import FIELDS as TRANSFERRED
from jobs.models import JobDefinition
from jobs.models.schedule_columns import SCHEDULE_FIELDS

pytestmark = pytest.mark.once

COLUMNS = {field.name: field for field in JobDefinition._meta.concrete_fields}
STAFF = {name for name, field in COLUMNS.items() if field.editable} - {"id"}
SET_BY_PAUSE = {"paused_until", "pause_reason"}
EDITED = STAFF - SET_BY_PAUSE
MOVES_NO_SLOT = {
    *("title", "function", "kwargs", "pause_reason"),
    *("max_instances", "coalesce", "misfire_grace_seconds"),
    *("timeout_seconds", "max_retries", "retry_backoff_seconds", "retry_abandoned", "executor"),
    *("keep_runs", "keep_days"),
}
STATE = {"enabled", "paused_until", "archived_at"}
"""Fields that move slots, and are no part of the schedule that staff type in."""


def names(fields: Any) -> set[str]:
    return set(fields)


def test_the_api_takes_every_field_that_staff_edit_with_the_default_of_the_table() -> None:
    assert names(JobChange.model_fields) == EDITED
    defaults = {name: field.default for name, field in JobChange.model_fields.items() if name != "function"}
    assert defaults == {name: COLUMNS[name].get_default() for name in defaults}


def test_the_api_answers_with_every_field_that_staff_edit() -> None:
    assert names(JobOut.model_fields) >= STAFF - {"trigger"} | {"id", "trigger_type"}


def test_the_admin_form_has_every_field_that_staff_edit() -> None:
    """Each argument has a form field of its own in place of `kwargs`."""
    assert names(JobForm.Meta.fields) == EDITED - {"kwargs"}


def test_an_export_has_every_field_that_staff_edit() -> None:
    assert names(TRANSFERRED) == STAFF | {"id"}


def test_the_history_keeps_every_field_that_staff_edit() -> None:
    assert names(field.name for field in JobDefinition.history.model._meta.concrete_fields) >= STAFF | {"id"}


def test_every_field_either_moves_slots_or_does_not() -> None:
    assert names(SCHEDULE_FIELDS) == (STAFF | STATE) - MOVES_NO_SLOT


def test_a_preview_takes_every_field_of_the_schedule() -> None:
    assert names(ScheduleFields.model_fields) == names(ScheduleForm.Meta.fields) == SCHEDULE_FIELDS - STATE
