"""Definitions travel as plain JSON: what is exported can be imported elsewhere, all or nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.maintenance.transfer import FIELDS, Unreadable, export_definitions, import_definitions
from jobs.models import JobDefinition
from tests.jobs.engine.manual_scheduler import STAFF, define

pytestmark = pytest.mark.django_db

VALUES: dict[str, Any] = {
    "title": "Tidy",
    "kwargs": {"limit": 3},
    "trigger": "once",
    "run_at": datetime(2031, 5, 1, 12, 30, tzinfo=UTC),
    "timezone": "Europe/Vienna",
    "misfire_grace_seconds": None,
    "keep_days": None,
    "coalesce": False,
    "retry_abandoned": True,
    "executor": "process",
}


def row(job_id: str = "tidy", **fields: Any) -> dict[str, Any]:
    return {"id": job_id, "function": "tests_nothing", **fields}


def exported() -> Any:
    """As a file has it."""
    return json.loads(json.dumps(export_definitions()))


def test_every_field_that_staff_may_edit_survives_the_journey() -> None:
    define("tidy", **VALUES)
    rows = exported()
    JobDefinition.objects.all().delete()
    assert import_definitions(rows, STAFF) == {"created": 1, "changed": 0, "unchanged": 0}
    definition = JobDefinition.objects.get()
    assert {name: getattr(definition, name) for name in VALUES} == VALUES
    assert exported() == rows


def test_an_export_begins_with_the_id_and_holds_nothing_of_this_installation() -> None:
    define("tidy")
    (values,) = export_definitions()
    assert tuple(values) == FIELDS
    assert FIELDS[:1] == ("id",)
    assert not {"revision", "applied_revision", "applied_at", "created_at", "updated_at", "scheduled_from", "origin", "overridden"} & set(FIELDS)


def test_archived_jobs_are_not_exported() -> None:
    define("gone").archive(STAFF)
    define("tidy")
    assert [values["id"] for values in export_definitions()] == ["tidy"]


def test_an_import_edits_only_what_differs_and_says_who_did_it() -> None:
    define("changed", title="Before")
    define("same", title="Same")
    counts = import_definitions([row("changed", title="After"), row("same", title="Same"), row("new")], STAFF)
    assert counts == {"created": 1, "changed": 1, "unchanged": 1}
    assert JobDefinition.objects.get(pk="same").revision == 1
    changed = JobDefinition.objects.get(pk="changed")
    assert (changed.title, changed.revision) == ("After", 2)
    latest = changed.history.latest()
    assert (latest.author, latest.source, latest.history_change_reason) == ("ada", "admin", "imported")


@pytest.mark.parametrize("rows", [None, {}, "[]", [1], [{}], [{"id": 7}]])
def test_anything_but_a_list_of_objects_with_ids_is_refused(rows: Any) -> None:
    with pytest.raises(Unreadable, match="expected a list of objects that each have an id"):
        import_definitions(rows, STAFF)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row("bad", colour=1, size=2), "job 'bad': size: there is no such field"),
        (row("bad", revision=7), "job 'bad': revision: there is no such field"),
        (row("bad", interval_seconds=1.5), "job 'bad': interval_seconds: expected a whole number, got 1.5"),
        (row("bad", timezone="Mars/Olympus"), "job 'bad': timezone: Unknown time zone"),
        (row("bad", function="no_such_function"), "job 'bad': function: "),
        (row("bad", run_at="tomorrow", trigger="once"), "job 'bad': "),
    ],
)
def test_one_bad_row_is_named_and_nothing_is_imported(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        import_definitions([row("good"), bad], STAFF)
    assert not JobDefinition.objects.exists()
