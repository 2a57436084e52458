from __future__ import annotations

import pytest

from tests.support.api import Caller, data, problem
from vsadmin.api.rate_limit import RateLimit

pytestmark = pytest.mark.django_db


def test_a_caller_above_the_rate_limit_gets_429_with_retry_after(admin: Caller, monitor: Caller, anonymous: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.api.auth.rate_limit", RateLimit(per_minute=3))
    for caller, status in ((admin, 200), (monitor, 200), (anonymous, 401)):
        assert [caller.get("/auth/me").status_code for _ in range(4)] == [status, status, status, 429]
        answer = caller.get("/auth/me")
        problem(answer, 429, "TOO_MANY_REQUESTS")
        assert 1 <= int(answer["Retry-After"]) <= 20


def test_after_too_many_failures_even_the_right_key_is_refused_and_another_address_is_not(admin: Caller, anonymous: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.api.auth.rate_limit", RateLimit(per_minute=3))
    assert [anonymous.get("/auth/me").status_code for _ in range(4)] == [401, 401, 401, 429]
    problem(admin.get("/auth/me"), 429, "TOO_MANY_REQUESTS")
    admin.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    data(admin.get("/auth/me"))


def test_successes_do_not_count_as_failures(admin: Caller, monitor: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.api.auth.rate_limit", RateLimit(per_minute=3))
    for caller in (admin, monitor) * 3:
        data(caller.get("/auth/me"))
