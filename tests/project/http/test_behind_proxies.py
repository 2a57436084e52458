"""A path prefix and a Unix socket: API errors, static files, addresses and the client's address are right behind a proxy."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx2
import pytest

from tests.support.processes import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

PREFIX = "/games/vsadmin"
KEY = "0123456789abcdef-0123456789abcdef"


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("removed", [False, True], ids=["passed on", "removed by the proxy"])
def test_everything_is_below_the_prefix(site: Site, asgi: bool, removed: bool) -> None:
    site.start_web(asgi=asgi, VS_PATH_PREFIX=f"{PREFIX}/", VS_API_KEY_ADMIN=KEY)
    base = "" if removed else PREFIX
    with site.anonymous() as client:
        assert client.get(f"{base}/").headers["Location"] == f"{PREFIX}/admin/"
        assert client.get(f"{base}/admin/").headers["Location"] == f"{PREFIX}/admin/login/?next={PREFIX}/admin/"
        page = client.get(f"{base}/admin/login/").text
        [stylesheet] = re.findall(r'href="([^"]*/base\.[^"]*css)"', page)
        assert stylesheet.startswith(f"{PREFIX}/static/")
        assert client.get(stylesheet.removeprefix(PREFIX) if removed else stylesheet).status_code == 200
        refused = client.get(f"{base}/api/v1alpha1/nowhere")
        assert (refused.status_code, refused.headers["Content-Type"]) == (401, "application/problem+json")
        headers = {"X-API-Key": KEY}
        unknown = client.get(f"{base}/api/v1alpha1/nowhere", headers=headers)
        assert (unknown.status_code, unknown.headers["Content-Type"]) == (404, "application/problem+json")
        assert unknown.json()["instance"] == f"{PREFIX}/api/v1alpha1/nowhere"
        job = {"id": "made", "function": "mod_cache_refresh", "interval_seconds": 60}
        for name in ("made", "another"):
            assert client.post(f"{base}/api/v1alpha1/jobs", json=job | {"id": name}, headers=headers).status_code == 201
        following = client.get(f"{base}/api/v1alpha1/jobs?limit=1", headers=headers).json()["data"]["next"]
        assert following.startswith(f"{site.base_url}{PREFIX}/api/v1alpha1/jobs?")
        for path in ("/healthz", "/readyz", f"{base}/healthz"):
            assert client.get(path).status_code == 200
        assert client.get(f"{base}/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
def test_a_proxy_at_a_unix_socket_is_believed_when_it_is_trusted(site: Site, tmp_path: Path, asgi: bool) -> None:
    path = tmp_path / "web.sock"
    site.env |= {"VS_HTTPS": "true", "VS_TRUSTED_PROXIES": "unix", "VS_ALLOWED_HOSTS": "jobs.example"}
    command = ["uvicorn", "--uds", str(path), "--no-proxy-headers", "vsadmin.asgi:application"] if asgi else ["gunicorn", "--bind", f"unix:{path}", "vsadmin.wsgi"]
    server = site.start(sys.executable, "-m", *command, name="web")
    wait_until(path.exists, timeout=30, message="the web server never made its socket")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)), base_url="http://jobs.example", headers=headers) as client:
        assert client.get("/admin/login/").status_code == 200
        assert client.get("/api/v1alpha1/jobs").status_code == 401
    [line] = wait_until(lambda: site.events(server, "auth_failed"), message="the refusal was not logged")
    assert line["peer"] == "203.0.113.7"
