"""Pages of other sites may use the API only from the origins of VS_CORS_ORIGINS, with a key and never with a cookie."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.test import Client

from tests.support.api import ADMIN_KEY, ROOT, Caller, data
from tests.support.rows import make_job
from vsadmin.environment import Environment

pytestmark = pytest.mark.django_db

PANEL = "https://panel.example.org"
ASKED = "content-type, x-api-key, if-match, idempotency-key, if-none-match"


@pytest.fixture
def allowed(settings: LazySettings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [PANEL]


def preflight(origin: str, path: str = f"{ROOT}/jobs/backup") -> dict[str, str]:
    headers = {"Origin": origin, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": ASKED}
    return dict(Client().options(path, headers=headers).headers)


def test_a_page_of_an_allowed_origin_may_ask_with_a_key(allowed: None) -> None:
    make_job()
    answer = preflight(PANEL)
    assert answer["access-control-allow-origin"] == PANEL
    assert "PATCH" in answer["access-control-allow-methods"]
    assert set(ASKED.split(", ")) <= set(answer["access-control-allow-headers"].split(", "))
    assert "access-control-allow-credentials" not in answer
    read = Caller(**{"X-API-Key": ADMIN_KEY, "Origin": PANEL}).get("/jobs/backup")
    assert data(read)["job"]["id"] == "backup"
    assert read["Access-Control-Allow-Origin"] == PANEL
    assert {"ETag", "Location", "Retry-After"} <= set(read["Access-Control-Expose-Headers"].split(", "))
    assert "origin" in read["Vary"].lower()


def test_such_a_page_can_read_why_it_was_refused(allowed: None) -> None:
    assert Caller(Origin=PANEL).get("/jobs")["Access-Control-Allow-Origin"] == PANEL


@pytest.mark.parametrize("origin", ["https://evil.example", "https://panel.example.org.evil.example", "http://panel.example.org", "null"])
def test_other_origins_may_not(origin: str, allowed: None) -> None:
    assert "access-control-allow-origin" not in preflight(origin)
    assert "Access-Control-Allow-Origin" not in Caller(**{"X-API-Key": ADMIN_KEY, "Origin": origin}).get("/jobs")


def test_no_other_part_of_the_site_is_open(allowed: None) -> None:
    for path in ("/admin/", "/metrics", "/healthz"):
        assert "access-control-allow-origin" not in preflight(PANEL, path)


def test_nothing_is_open_by_default(admin: Caller) -> None:
    assert "access-control-allow-origin" not in preflight(PANEL)
    assert "Access-Control-Allow-Origin" not in admin.get("/jobs", Origin=PANEL)


@pytest.mark.parametrize("bad", ["*", "panel.example.org", "https://panel.example.org/", "https://panel.example.org/x", "ftp://a", "https://a b", "null"])
def test_what_is_no_origin_stops_the_start(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VS_CORS_ORIGINS", f"https://good.example,{bad}")
    with pytest.raises(ValueError, match="expected origins such as"):
        Environment()


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VS_CORS_ORIGINS", "https://panel.example.org, http://localhost:3000,http://[::1]:8080")
    assert Environment().cors_origins == ["https://panel.example.org", "http://localhost:3000", "http://[::1]:8080"]
