from __future__ import annotations

import pytest
from django.conf import LazySettings
from structlog.testing import capture_logs

from tests.support.api import Caller

pytestmark = pytest.mark.django_db


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
