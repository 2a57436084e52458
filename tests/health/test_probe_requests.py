from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.health.asking import ask, scheduler
from tests.support.processes import Site
from tests.support.waiting import wait_until


@pytest.mark.once
@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
def test_probes_pass_where_other_requests_are_refused_and_leave_no_trace(site: Site, asgi: bool) -> None:
    site.start_web(asgi=asgi, VS_HTTPS="true", VS_ALLOWED_HOSTS="jobs.example")
    (web,) = site.processes
    for path in ("/healthz", "/readyz"):
        answer = ask(site, path, within=2, Host="10.1.2.3")
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json()["data"].get("ready") is (True if path == "/readyz" else None)
        assert httpx2.head(site.base_url + path, trust_env=False).status_code == 200
        assert httpx2.post(site.base_url + path, trust_env=False).status_code == 405
    assert "healthz" not in site.output(web)
    assert "readyz" not in site.output(web)
    assert ask(site, "/api/v1alpha1/jobs", Host="jobs.example").status_code == 301
    assert ask(site, "/api/v1alpha1/jobs", Host="10.1.2.3").status_code == 400


@pytest.mark.once
def test_missing_migrations_make_it_unready_but_not_unhealthy(site: Site, tmp_path: Path) -> None:
    site.env["VS_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty.sqlite3"
    site.start_web()
    assert scheduler(site)["status"] == "stopped"
    answer = ask(site, "/readyz", within=2)
    assert answer.status_code == 503
    assert "the database lacks migrations" in answer.json()["detail"]
    assert (answer.json()["ready"], answer.json()["checks"]) == (False, {"database": True, "writable": True, "migrations": False})
    site.manage("migrate")
    wait_until(lambda: ask(site, "/readyz", within=2).status_code == 200, message="migrated, and still not ready")
