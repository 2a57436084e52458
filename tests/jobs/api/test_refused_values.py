"""Values that a database, a zone or a calculation could not take are refused at the field, whichever way they come."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError
from django.test import Client

from jobs.clock import database_now
from jobs.models import FOREVER, Cause, JobDefinition, JobRun
from jobs.models.run import MOST_REQUESTS_AT_ONCE
from jobs.storable import MAX_DEPTH, json_problem
from tests.jobs.engine.manual_scheduler import STAFF, define, seconds
from tests.support.api import Caller, problem

pytestmark = pytest.mark.django_db


def nested(levels: int) -> Any:
    return [] if levels == 0 else [nested(levels - 1)]


UNSTORABLE = [math.nan, math.inf, -math.inf, "half \ud800", "nul \0", 10**1000, nested(MAX_DEPTH + 1), {"a\0": 1}]
OUT_OF_CALENDAR = [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)]
REFUSED: list[tuple[str, Any]] = [
    *(("timezone", zone) for zone in ("localtime", "posixrules", "Factory", "right/Europe/Vienna", "posix/UTC", "../UTC")),
    *((name, at) for name in ("run_at", "starts_at", "ends_at", "paused_until") for at in OUT_OF_CALENDAR),
    *(("kwargs", {"limit": value}) for value in UNSTORABLE),
    ("keep_days", 740_000),
    ("title", "  \t "),
]


@pytest.mark.parametrize(("field", "value"), REFUSED, ids=[f"{field}-{number}" for number, (field, _value) in enumerate(REFUSED)])
def test_an_edit_is_refused_at_its_field(field: str, value: Any) -> None:
    definition = define("job")
    with pytest.raises(ValidationError) as refused:
        definition.edit(STAFF, **{field: value})
    assert field in refused.value.message_dict
    assert JobDefinition.objects.get().revision == 1


@pytest.mark.parametrize("value", UNSTORABLE, ids=range(len(UNSTORABLE)))
def test_json_that_no_database_stores_has_a_problem(value: Any) -> None:
    assert json_problem([value])


def test_a_pause_for_ever_is_no_time_outside_the_calendar() -> None:
    assert define("job").pause(STAFF).paused_until == FOREVER


@pytest.mark.parametrize("value", [None, True, 0, -(10**1000 - 1), 1.5, "grün ✓", nested(MAX_DEPTH), {"a": [1, {"b": None}]}])
def test_what_every_database_stores_is_allowed(value: Any) -> None:
    assert json_problem(value) is None
    definition = define("job")
    definition.kwargs = {"value": value}
    definition.save()
    assert JobDefinition.objects.get().kwargs == {"value": value}


@pytest.mark.parametrize("body", ['{"kwargs": {"limit": 1e999}}', '{"kwargs": {"limit": NaN}}', '{"keep_days": 740000}', '{"timezone": "localtime"}', '{"title": "  "}'])
def test_the_api_refuses_them(admin: Caller, body: str) -> None:
    define("job")
    assert admin.patch("/jobs/job", body.encode()).status_code in {400, 422}
    assert JobDefinition.objects.get().revision == 1


def test_a_run_with_an_argument_that_cannot_be_stored_is_refused_on_the_command_line() -> None:
    define("job")
    with pytest.raises(CommandError, match="finite numbers"):
        call_command("jobs", "run", "job", "--kwargs", '{"limit": NaN}')
    assert not JobRun.objects.exists()


def test_a_request_that_the_database_refuses_is_not_repeated_for_ever() -> None:
    with pytest.raises(IntegrityError):
        JobRun.objects.request(define("job").pk, requested_by=None)  # type: ignore[arg-type]  # what its column does not take


def test_requests_of_a_job_look_for_a_free_microsecond_and_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    definition, at = define("job"), database_now()
    monkeypatch.setattr("jobs.models.run.database_now", lambda: at)
    taken = [JobRun(job=definition, scheduled_for=at + seconds(number / 1e6), cause=Cause.MANUAL) for number in range(MOST_REQUESTS_AT_ONCE)]
    JobRun.objects.bulk_create(taken[:-1])
    assert JobRun.objects.request("job", "ada").scheduled_for == taken[-1].scheduled_for
    with pytest.raises(DatabaseError, match="all have a run"):
        JobRun.objects.request("job", "ada")


def test_a_time_of_year_1_is_refused_in_the_admin_of_a_site_ahead_of_utc(admin_client: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Vienna"
    define("job")
    page = admin_client.get("/admin/jobs/jobdefinition/job/change/")
    typed = {name: value if value is not None else "" for name, value in page.context["adminform"].form.initial.items()}
    answer = admin_client.post("/admin/jobs/jobdefinition/job/change/", typed | {"trigger": "once", "run_at": "0001-01-01T00:30:00"})
    assert "run_at" in answer.context["adminform"].form.errors
    assert JobDefinition.objects.get().revision == 1


BAD_FILE = [
    {"id": "good", "function": "tests_nothing"},
    {"id": "one", "function": "tests_nothing", "run_at": "20261126", "keep_days": "30", "enabled": 1},
    {"id": "two", "function": "tests_nothing", "title": ["a"], "timezone": "localtime", "interval_seconds": 1.5},
    {"id": "not a slug", "function": "tests_nothing", "kwargs": {"limit": math.nan}},
]


def test_an_import_names_everything_that_is_wrong_and_stores_nothing(tmp_path: Path) -> None:
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps(BAD_FILE))
    with pytest.raises(CommandError) as refused:
        call_command("jobs", "import", str(file))
    said = str(refused.value).splitlines()
    wrong = ["'one': run_at", "'one': keep_days", "'one': enabled", "'two': title", "'two': interval_seconds", "'not a slug': id", "'not a slug': kwargs"]
    for expected in wrong:
        assert [line for line in said if expected in line], expected
    assert not JobDefinition.objects.exists()


def test_an_import_takes_a_file_that_begins_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "jobs.json"
    file.write_text("\ufeff" + json.dumps(BAD_FILE[:1]))
    call_command("jobs", "import", str(file))
    assert JobDefinition.objects.get().pk == "good"


def test_the_preview_refuses_times_outside_the_calendar(admin: Caller) -> None:
    problem(admin.post("/jobs/preview", {"trigger": "once", "run_at": "9999-12-31T23:59:59Z"}), 422, "VALIDATION_ERROR")
