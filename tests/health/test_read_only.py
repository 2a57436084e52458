"""PostgreSQL takes no writes, as after a failover to a replica: 503 and not 500, and back at once."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx2
import pytest

from tests.health.asking import ask, scheduler
from tests.support.api import ADMIN_KEY, ROOT
from tests.support.cluster import Cluster
from tests.support.processes import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once


def request(site: Site, method: str, path: str, json: dict[str, str] | None = None) -> httpx2.Response:
    return httpx2.request(method, site.base_url + path, headers={"X-API-Key": ADMIN_KEY}, json=json, timeout=20, trust_env=False)


def test_writes_are_refused_with_503_while_the_database_is_read_only(remote_site: Site, migrated_cluster: Cluster) -> None:
    name = urlsplit(remote_site.env["VS_DATABASE_URL"]).path[1:]
    remote_site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY)
    process = remote_site.start_scheduler(wait=False)
    wait_until(lambda: scheduler(remote_site)["status"] == "running", timeout=20)
    key = remote_site.manage("apikey", "create", "reader", "--role", "admin").stdout.strip()
    made = request(remote_site, "POST", f"{ROOT}/jobs", json={"id": "edited", "function": "game_server_watch", "trigger": "manual"})
    assert made.status_code == 201, made.text
    disconnect = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    migrated_cluster.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on", disconnect)
    for _ in range(3):
        refused = request(remote_site, "PATCH", f"{ROOT}/jobs/edited", json={"title": "Edited"})
        assert (refused.status_code, refused.json()["code"]) == (503, "DATABASE_UNAVAILABLE"), refused.text
        assert refused.headers["Retry-After"] == "5"
    read = ask(remote_site, f"{ROOT}/jobs/edited", within=5, **{"X-API-Key": key})  # the use of the key cannot be noted
    assert read.status_code == 200, read.text
    assert read.json()["data"]["job"]["title"] == "", read.text
    with httpx2.Client(base_url=remote_site.base_url, trust_env=False, timeout=20) as browser:
        token = browser.get("/admin/login/").text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        page = browser.post("/admin/login/", data={"username": "mira", "password": "wrong", "csrfmiddlewaretoken": token}, headers={"Referer": remote_site.base_url})
        assert page.status_code == 503
        assert "The database does not answer" in page.text
    unready = wait_until(lambda: answer if (answer := ask(remote_site, "/readyz", within=2)).status_code == 503 else None)
    assert unready.json()["detail"] == "the database is read-only"
    wait_until(lambda: remote_site.events(process, "scheduler_tick_failed"))
    # Sessions that are open stay read-only, as those to the old primary: only a new connection finds the one that takes writes.
    migrated_cluster.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    edited = request(remote_site, "PATCH", f"{ROOT}/jobs/edited", json={"title": "Edited"})
    again = request(remote_site, "PATCH", f"{ROOT}/jobs/edited", json={"title": "Edited"})
    assert (edited.status_code, again.status_code) in {(200, 200), (503, 200)}
    wait_until(lambda: ask(remote_site, "/readyz", within=2).status_code == 200)
    wait_until(lambda: remote_site.events(process, "scheduler_tick_recovered"))
