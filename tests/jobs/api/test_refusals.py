from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from structlog.testing import capture_logs

from jobs.models import JobDefinition
from tests.jobs.api.builders import make_job
from tests.jobs.api.conftest import ROOT, Caller, data, problem
from vsadmin.api import api
from vsadmin.api.rate_limit import RateLimit, rate_limit

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
def test_a_bad_cron_expression_is_named_within_milliseconds(cron: str, admin: Caller) -> None:
    make_job()
    for send, path in ((admin.patch, "/jobs/backup"), (admin.post, "/jobs/preview")):  # what the first request of a process imports is not the expression's fault
        send(path, {})
    started = time.thread_time()
    for answer in (admin.patch("/jobs/backup", {"trigger": "cron", "cron": cron}), admin.post("/jobs/preview", {"trigger": "cron", "cron": cron})):
        assert problem(answer, 422, "VALIDATION_ERROR")["errors"][0]["field"] == "cron"
    assert time.thread_time() - started < 0.2


def test_the_detail_says_field_kind_and_what_is_allowed(admin: Caller) -> None:
    detail = problem(admin.post("/jobs", {"id": "a", "function": "mod_cache_refresh", "interval_seconds": "soon"}), 422, "VALIDATION_ERROR")["detail"]
    assert detail == "interval_seconds: got a text; expected a whole number from 0 to 31622400"


@pytest.mark.parametrize("query", ["limit=201", "limit=0", "limit=x", "offset=-1", "nonsense=1", "order=nothing", "enabled=perhaps", "trigger=x", "search=%00"])
def test_bad_parameters_are_named(query: str, admin: Caller) -> None:
    assert problem(admin.get(f"/jobs?{query}"), 422, "VALIDATION_ERROR")["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("path", ["/runs", "/functions", "/scheduler", "/versions", "/mods", "/server/status", "/auth/me"])
def test_every_list_refuses_unknown_parameters(path: str, admin: Caller) -> None:
    problem(admin.get(f"{path}?nonsense=1"), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"id": NaN}', b"", b"null", b"[]", b'"text"', b"1" * 5_000])
def test_a_body_that_is_no_object_is_refused(body: bytes, admin: Caller) -> None:
    answer = admin.post("/jobs", body)
    assert answer.status_code in {400, 422}, answer.content
    problem(answer, answer.status_code, "MALFORMED_BODY" if answer.status_code == 400 else "VALIDATION_ERROR")


def test_a_large_body_is_refused_unread(admin: Caller, settings: LazySettings) -> None:
    problem(admin.post("/jobs", b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)), 413, "BODY_TOO_LARGE")


def test_unknown_routes_and_methods_are_problems_too(admin: Caller) -> None:
    problem(admin.get("/nonsense"), 404, "NOT_FOUND")
    problem(admin.get("/jobs/"), 404, "NOT_FOUND")
    answer = admin.ask("PUT", "/jobs")
    problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert set(answer["Allow"].split(", ")) == {"GET", "POST"}


def test_a_bad_host_is_a_problem_too(admin: Caller) -> None:
    problem(admin.get("/jobs", Host="evil.example"), 400, "BAD_REQUEST")


@pytest.fixture
def broken_operation(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets an operation meet any exception, by the real road through ninja."""

    def break_with(error: Exception) -> None:
        def fail(*args: object) -> None:
            raise error

        monkeypatch.setattr(connection, "cursor", fail)

    return break_with


def test_an_unexpected_exception_is_500_and_logged_under_the_request_id(admin: Caller, broken_operation: Any) -> None:
    broken_operation(RuntimeError("secret inner state"))
    with capture_logs() as logs:
        answer = admin.get("/jobs", **{"X-Request-ID": "my-request-0001"})
    body = problem(answer, 500, "INTERNAL_ERROR")
    assert answer["X-Request-ID"] == "my-request-0001"
    assert "secret" not in json.dumps(body)
    (line,) = [line for line in logs if line["event"] == "api_operation_failed"]
    assert str(line["exc_info"]) == "secret inner state"


def test_a_database_that_is_gone_is_503_with_retry_after(admin: Caller, broken_operation: Any) -> None:
    broken_operation(OperationalError("connection to server at 10.0.0.1 failed"))
    answer = admin.get("/jobs")
    assert "10.0.0.1" not in problem(answer, 503, "DATABASE_UNAVAILABLE")["detail"]
    assert int(answer["Retry-After"]) > 0


@pytest.mark.parametrize("given", ["short", "with space and more", "x" * 65, "new\nline-injected"])
def test_a_request_id_that_is_no_plain_word_is_replaced(given: str, admin: Caller) -> None:
    admin.client.defaults["HTTP_X_REQUEST_ID"] = given
    assert len(admin.get("/auth/me")["X-Request-ID"]) == 36


def test_whoever_asks_too_often_waits(admin: Caller, monitor: Caller, anonymous: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.api.auth.rate_limit", RateLimit(per_minute=3))
    for caller, status in ((admin, 200), (anonymous, 401)):
        assert [caller.get("/auth/me").status_code for _ in range(4)] == [status, status, status, 429]
        answer = caller.get("/auth/me")
        problem(answer, 429, "TOO_MANY_REQUESTS")
        assert 1 <= int(answer["Retry-After"]) <= 20
    data(monitor.get("/auth/me"))


def test_a_forwarded_address_counts_only_from_a_trusted_proxy(anonymous: Caller, settings: LazySettings) -> None:
    def logged_peer(forwarded: str) -> str:
        with capture_logs() as logs:
            anonymous.get("/auth/me", **{"X-Forwarded-For": forwarded})
        return str(next(line["peer"] for line in logs if line["event"] == "auth_failed"))

    assert logged_peer("203.0.113.7") == "127.0.0.1"
    settings.TRUSTED_PROXIES = ["127.0.0.0/8", "10.0.0.1"]
    assert logged_peer("203.0.113.7") == "203.0.113.7"
    assert logged_peer("198.51.100.1, 203.0.113.7, 10.0.0.1") == "203.0.113.7"
    assert logged_peer("198.51.100.1, nonsense") == "127.0.0.1"


def test_every_operation_is_guarded() -> None:
    operations = [operation for router in api.api._get_bound_routers() for view in router.path_operations.values() for operation in view.operations]
    assert len(operations) > 20
    assert [operation.path for operation in operations if len(operation.auth_callbacks) != 3] == []
    assert rate_limit.per_minute > 1000
    assert ROOT
