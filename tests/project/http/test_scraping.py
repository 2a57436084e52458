"""`/metrics` of a production server answers a Prometheus that connects by address over plain HTTP."""

from __future__ import annotations

import httpx2
import pytest

from tests.support.processes import Site, get

pytestmark = pytest.mark.once

KEY = "0123456789abcdef-0123456789abcdef"


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
def test_prometheus_scrapes_a_production_server_by_its_address(site: Site, asgi: bool) -> None:
    site.start_web(asgi=asgi, VS_HTTPS="true", VS_ALLOWED_HOSTS="jobs.example", VS_API_KEY_MONITOR=KEY)

    def ask(path: str, **headers: str) -> httpx2.Response:
        return get(site.base_url + path, headers=headers, timeout=20)

    for host in ({}, {"Host": "10.1.2.3"}, {"Host": "jobs.example"}, {"Host": "a host"}):
        answer = ask("/metrics", Authorization=f"Bearer {KEY}", **host)
        assert (answer.status_code, "vsadmin_scheduler_up 0" in answer.text) == (200, True), answer.text[:300]
        refused = ask("/metrics", **host)
        assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHORIZED")
    for path in ("/admin/", "/metrics/", "/metrics/x", "/api/v1alpha1/jobs"):
        assert ask(path, Host="jobs.example").status_code == 301
        assert ask(path).status_code == 400
