from __future__ import annotations

import pytest

from tests.support.api import Caller, data, problem
from vsadmin.api.rate_limit import RateLimit

pytestmark = pytest.mark.django_db


def test_a_caller_above_the_rate_limit_gets_429_with_retry_after(admin: Caller, monitor: Caller, anonymous: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.api.auth.rate_limit", RateLimit(per_minute=3))
    for caller, status in ((admin, 200), (anonymous, 401)):
        assert [caller.get("/auth/me").status_code for _ in range(4)] == [status, status, status, 429]
        answer = caller.get("/auth/me")
        problem(answer, 429, "TOO_MANY_REQUESTS")
        assert 1 <= int(answer["Retry-After"]) <= 20
    data(monitor.get("/auth/me"))
