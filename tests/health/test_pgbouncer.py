"""Web server and commands behind a connection pooler in transaction mode; the scheduler has a direct address, as documented."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.health.asking import ask, scheduler
from tests.support.api import ADMIN_KEY, ROOT
from tests.support.cluster import Cluster
from tests.support.pgbouncer import pgbouncer
from tests.support.processes import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once


def test_metrics_prune_audit_and_edits_work_behind_a_pooler(remote_site: Site, migrated_cluster: Cluster) -> None:
    direct = remote_site.env["VS_DATABASE_URL"]
    remote_site.start_scheduler(wait=False)
    # Not pytest's folder: the pooler runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory() as folder, pgbouncer(migrated_cluster, urlsplit(direct).path[1:], Path(folder)) as pooled:
        remote_site.env["VS_DATABASE_URL"] = pooled
        remote_site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY, VS_API_KEY_MONITOR="")
        wait_until(lambda: scheduler(remote_site)["status"] == "running", timeout=20)
        key = {"X-API-Key": ADMIN_KEY}
        job = {"id": "often", "function": "game_server_watch", "trigger": "interval", "interval_seconds": 1}
        assert httpx2.post(f"{remote_site.base_url}{ROOT}/jobs", headers=key, json=job, timeout=20, trust_env=False).status_code == 201
        wait_until(lambda: ask(remote_site, f"{ROOT}/runs?limit=1", within=5, **key).json()["data"]["runs"])
        wait_until(lambda: "vsadmin_job_runs_total{" in ask(remote_site, "/metrics", within=5, **key).text)
        for _ in range(5):  # on either server connection
            assert ask(remote_site, "/metrics", within=5, **key).status_code == 200
        assert ask(remote_site, "/readyz", within=2).status_code == 200
        remote_site.manage("prunejobruns")
        assert "0" in remote_site.manage("jobs", "audit", "--since", "2026-01-01").stdout
        remote_site.manage("jobs", "list")
        remote_site.manage("jobs", "export")
