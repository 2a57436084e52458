from __future__ import annotations

import json
import time

import pytest

from jobs.models import JobDefinition
from tests.support.api import Caller, problem
from tests.support.rows import make_job

pytestmark = pytest.mark.django_db

BAD = {
    "fraction": ("interval_seconds", 1.5),
    "whole fraction": ("interval_seconds", 2.0),
    "text": ("interval_seconds", "soon"),
    "number as text": ("interval_seconds", "60"),
    "negative": ("interval_seconds", -1),
    "huge": ("interval_seconds", 10**13),
    "more than any database holds": ("interval_seconds", 10**400),
    "boolean": ("interval_seconds", True),
    "null": ("interval_seconds", None),
    "list": ("interval_seconds", [60]),
    "zone": ("timezone", "Mars/Olympus"),
    "zone that is a path": ("timezone", "../../etc/passwd"),
    "function": ("function", "no_such_function"),
    "arguments": ("kwargs", {"nonsense": 1}),
    "arguments that are a list": ("kwargs", [1]),
    "arguments with NUL": ("kwargs", {"a": "\0"}),
    "arguments nested deeply": ("kwargs", {"a": json.loads("[" * 40 + "]" * 40)}),
    "NUL": ("title", "a\0b"),
    "half a surrogate pair": ("title", "\ud800"),
    "too long": ("title", "x" * 201),
    "enabled as text": ("enabled", "yes"),
    "no zone": ("run_at", "2030-01-01T00:00:00"),
    "year 1": ("starts_at", "0001-01-01T00:00:00+14:00"),
    "no time at all": ("run_at", "tomorrow"),
    "seconds as text": ("run_at", "1893456000"),
    "milliseconds as text": ("starts_at", "1893456000000"),
    "seconds with a fraction": ("ends_at", "1893456000.5"),
    "seconds": ("run_at", 1893456000),
    "trigger": ("trigger", "whenever"),
    "no instance": ("max_instances", 0),
    "unknown": ("interval", 60),
    "read-only": ("revision", 7),
}


@pytest.mark.parametrize(("field", "value"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_bad_input_names_its_field_and_stores_nothing(method: str, field: str, value: object, admin: Caller) -> None:
    if method == "PATCH":
        make_job()
        answer = admin.patch("/jobs/backup", {field: value})
    else:
        answer = admin.post("/jobs", {"id": "backup", "function": "mod_cache_refresh", field: value})
    errors = problem(answer, 422, "VALIDATION_ERROR")["errors"]
    assert [error["field"].split(".")[0] for error in errors] == [field]
    assert list(JobDefinition.objects.values_list("revision", flat=True)) == ([1] if method == "PATCH" else [])


@pytest.mark.parametrize("cron", ["61 * * * *", "0 0 31 2 *", "0 0 1--100000000 * *", "", "@never", "* * * * * *"])
def test_a_bad_cron_expression_is_named_without_walking_through_its_values(cron: str, admin: Caller) -> None:
    make_job()
    for send, path in ((admin.patch, "/jobs/backup"), (admin.post, "/jobs/preview")):  # what the first request of a process imports is not the expression's fault
        send(path, {})
    started = time.thread_time()
    for answer in (admin.patch("/jobs/backup", {"trigger": "cron", "cron": cron}), admin.post("/jobs/preview", {"trigger": "cron", "cron": cron})):
        assert problem(answer, 422, "VALIDATION_ERROR")["errors"][0]["field"] == "cron"
    assert time.thread_time() - started < 5  # walking through the values would take minutes


def test_the_detail_says_field_kind_and_what_is_allowed(admin: Caller) -> None:
    detail = problem(admin.post("/jobs", {"id": "a", "function": "mod_cache_refresh", "interval_seconds": "soon"}), 422, "VALIDATION_ERROR")["detail"]
    assert detail == "interval_seconds: got a string; expected a whole number from 0 to 31622400"


@pytest.mark.parametrize("query", ["limit=201", "limit=0", "limit=x", "offset=-1", "nonsense=1", "order=nothing", "enabled=perhaps", "trigger=x", "search=%00"])
def test_bad_parameters_are_named(query: str, admin: Caller) -> None:
    assert problem(admin.get(f"/jobs?{query}"), 422, "VALIDATION_ERROR")["errors"][0]["field"] == query.partition("=")[0]
