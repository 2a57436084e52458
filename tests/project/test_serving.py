"""The web server starts, answers and ends as a service manager expects, by WSGI and by ASGI."""

from __future__ import annotations

import signal

import pytest

from tests.support.processes import Site

pytestmark = pytest.mark.once


@pytest.mark.parametrize("asgi", [False, True], ids=["gunicorn", "uvicorn"])
def test_staff_can_log_in_and_read_static_files(site: Site, *, asgi: bool) -> None:
    site.start_web(asgi=asgi)
    client = site.http()
    assert client.get("/admin/").status_code == 200
    stylesheet = client.get("/static/admin/css/base.css")
    assert stylesheet.headers["Content-Type"].startswith("text/css")
    assert "--primary" in stylesheet.text


def test_gunicorn_ends_cleanly_on_sigterm_and_opens_no_control_socket(site: Site) -> None:
    site.start_web(workers=2)
    [server] = site.processes
    assert site.stop(server, signal.SIGTERM, timeout=10) == 0
    assert "ontrol socket" not in site.output(server)


def test_https_is_insisted_on_by_default(site: Site) -> None:
    site.env["VS_HTTPS"] = "true"
    site.start_web()
    answer = site.anonymous().get("/admin/")
    assert answer.status_code == 301
    assert answer.headers["Location"].startswith("https://")


def test_a_proxy_is_believed_about_https_only_when_it_is_named(site: Site) -> None:
    site.env |= {"VS_HTTPS": "true", "VS_TRUSTED_PROXIES": "127.0.0.1"}
    site.start_web()
    answer = site.anonymous(**{"X-Forwarded-Proto": "https"}).get("/admin/login/")
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"]
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-csrftoken=")  # browsers accept it only when the three conditions below hold
    assert "Secure" in cookie
    assert "Path=/;" in cookie
    assert "Domain" not in cookie
