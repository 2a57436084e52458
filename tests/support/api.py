"""Clients of the API in the test's own process, and the fixtures that make them; a conftest imports those by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from jobs.monitoring.exposition import OPENMETRICS, TEXT
from jobs.registry import job, unregister
from vsadmin.api.rate_limit import rate_limit

ADMIN_KEY = "an-admin-key-of-the-tests-0123456789"
MONITOR_KEY = "a-monitor-key-of-the-tests-0123456789"
ROOT = "/api/v1alpha1"


class Caller:
    """Sends JSON requests to the API; paths are those below its root."""

    def __init__(self, **headers: str) -> None:
        self.client = Client(headers=headers)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.generic(method, ROOT + path, content, "application/json", headers=headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.ask("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.ask("DELETE", path, **headers)


def data(answer: Any, status: int = 200) -> Any:
    """The data of a success with this status."""
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert body["status"] == "ok"
    return body["data"]


def problem(answer: Any, status: int, code: str) -> Any:
    """The problem of an error with this status and code."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["X-Request-ID"]
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body.keys() >= {"type", "title", "detail"}
    return body


@pytest.fixture(autouse=True)
def api_keys(settings: LazySettings) -> Iterator[None]:
    settings.API_KEY_ADMIN, settings.API_KEY_MONITOR = ADMIN_KEY, MONITOR_KEY
    yield
    rate_limit.forget()
    TEXT.forget()
    OPENMETRICS.forget()


@pytest.fixture
def admin() -> Caller:
    return Caller(**{"X-API-Key": ADMIN_KEY})


@pytest.fixture
def monitor() -> Caller:
    return Caller(**{"X-API-Key": MONITOR_KEY})


@pytest.fixture
def anonymous() -> Caller:
    return Caller()


@pytest.fixture
def copy_world() -> Iterator[str]:
    """The name of a registered job function that takes arguments."""

    @job("copy_world")
    def copy_world(target: str, limit: int = 10) -> None:
        pass

    yield "copy_world"
    unregister("copy_world")
