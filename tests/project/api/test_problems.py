from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from structlog.testing import capture_logs

from tests.support.api import Caller, problem

pytestmark = pytest.mark.django_db


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
    assert set(answer["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


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
