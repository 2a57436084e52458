"""deploy/nginx.conf, haproxy.cfg and Caddyfile, run on loopback: people log in on any port, and nobody chooses an address."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.support.processes import PASSWORD, REPOSITORY, Site, free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

DEPLOY = REPOSITORY / "deploy"
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
OPENSSL = shutil.which("openssl")
Configure = Callable[[Path, str, int, int], list[str]]
"""Writes a configuration into a folder, for a backend, a port with TLS and one without; the command that starts the proxy."""


def needs(program: str) -> pytest.MarkDecorator:
    found = OPENSSL and shutil.which(program, path=SBIN)
    return pytest.mark.skipif(not found, reason=f"no {program} or openssl on this machine (Debian: apt install {program} openssl)")


def run(program: str) -> str:
    return shutil.which(program, path=SBIN) or program


def certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def nginx(folder: Path, backend: str, port: int, plain: int) -> list[str]:
    chain, key = certificate(folder)
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("listen 80", f"listen 127.0.0.1:{plain}"),
        ("127.0.0.1:8000", backend),
        ("/etc/ssl/certs/jobs.example.org.pem", str(chain)),
        ("/etc/ssl/private/jobs.example.org.key", str(key)),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "vsadmin.conf").write_text(text)
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = f"{user}pid {folder}/nginx.pid;\nerror_log stderr;\ndaemon off;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}include {folder}/vsadmin.conf;\n}}\n"
    (folder / "nginx.conf").write_text(main)
    return [run("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def haproxy(folder: Path, backend: str, port: int, plain: int) -> list[str]:
    chain, key = certificate(folder)
    (folder / "both.pem").write_text(chain.read_text() + key.read_text())
    text = (DEPLOY / "haproxy.cfg").read_text()
    for old, new in (
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("bind :80", f"bind 127.0.0.1:{plain}"),
        ("127.0.0.1:8000", backend),
        ("/etc/haproxy/jobs.example.org.pem", str(folder / "both.pem")),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "haproxy.cfg").write_text(text)
    return [run("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


PROXIES = [pytest.param(nginx, marks=needs("nginx"), id="nginx"), pytest.param(haproxy, marks=needs("haproxy"), id="haproxy")]


class Proxied:
    """A production site behind a real proxy that speaks TLS on some port."""

    def __init__(self, site: Site, folder: Path, configure: Configure, **env: str) -> None:
        self.port, self.plain = free_port(), free_port()
        self.origin = f"https://127.0.0.1:{self.port}"
        site.env |= {name: value.format(origin=self.origin) for name, value in env.items()}
        site.start_web(VS_HTTPS="true", VS_TRUSTED_PROXIES="127.0.0.1", VS_ALLOWED_HOSTS="127.0.0.1")
        site.start(*configure(folder, site.base_url.removeprefix("http://"), self.port, self.plain), name="proxy")
        self.client = httpx2.Client(base_url=self.origin, verify=False, trust_env=False, timeout=20)
        wait_until(self._answers, timeout=20, message="the proxy never answered")

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx2.TransportError:
            return False

    def log_in(self) -> int:
        """The status of the answer to a person's right password: 302."""
        self.client.get("/admin/login/").raise_for_status()
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": self.client.cookies["__Host-csrftoken"]}
        return self.client.post("/admin/login/?next=/admin/", data=form, headers={"Origin": self.origin}).status_code


@pytest.mark.parametrize("configure", PROXIES)
def test_people_log_in_on_any_port_and_nobody_chooses_an_address(site: Site, tmp_path: Path, configure: Configure) -> None:
    site.superuser()
    proxied = Proxied(site, tmp_path, configure)
    with closing(proxied.client) as client:
        assert proxied.log_in() == 302
        assert client.get("/admin/").status_code == 200
        assert client.get(f"http://127.0.0.1:{proxied.plain}/admin/").status_code == 301
        assert client.get("/api/v1alpha1/jobs", headers={"X-Forwarded-For": "203.0.113.7", "X-API-Key": "wrong"}).status_code == 401
    web = next(iter(site.processes))
    [line] = wait_until(lambda: site.events(web, "auth_failed"), message="the refusal was not logged")
    assert line["peer"] == "127.0.0.1"


def nginx_without_port(folder: Path, backend: str, port: int, plain: int) -> list[str]:
    command, config = nginx(folder, backend, port, plain), folder / "vsadmin.conf"
    config.write_text(config.read_text().replace("Host $http_host", "Host $host"))
    return command


@needs("nginx")
@pytest.mark.parametrize(("env", "status"), [({}, 403), ({"VS_CSRF_TRUSTED_ORIGINS": "{origin}"}, 302)], ids=["none", "trusted"])
def test_a_proxy_that_loses_the_port_needs_trusted_origins(site: Site, tmp_path: Path, env: dict[str, str], status: int) -> None:
    site.superuser()
    proxied = Proxied(site, tmp_path, nginx_without_port, **env)
    with closing(proxied.client):
        assert proxied.log_in() == status


@pytest.mark.skipif(not shutil.which("caddy"), reason="no caddy on this machine (Debian: apt install caddy)")
def test_caddy_accepts_its_file(tmp_path: Path) -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    validated = subprocess.run(command, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert validated.returncode == 0, validated.stderr
