from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.health.asking import ask, scheduler
from tests.support.api import ADMIN_KEY
from tests.support.cluster import Cluster
from tests.support.processes import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

UNREACHABLE = {"database": False, "writable": None, "migrations": None}


def is_unready(site: Site) -> bool:
    answer = ask(site, "/readyz", within=2)
    body = answer.json()
    is_told = (body["detail"], body.get("ready"), body.get("checks")) == ("the database is out of reach", False, UNREACHABLE)
    return answer.status_code == 503 and is_told


def test_probes_answer_in_time_while_postgresql_hangs(remote_site: Site, migrated_cluster: Cluster) -> None:
    remote_site.start_web()
    remote_site.start_scheduler(wait=False)
    wait_until(lambda: scheduler(remote_site)["status"] == "running", timeout=20)
    migrated_cluster.freeze()
    wait_until(lambda: scheduler(remote_site)["status"] == "stopped", timeout=3, message="the hanging database was not noticed")
    for _again in range(5):
        assert scheduler(remote_site) == {
            "status": "stopped",
            "job_count": 0,
            "last_tick_age_seconds": None,
            "instances": 0,
            "overdue_jobs": 0,
            "problem": "the database does not answer",
        }
        assert is_unready(remote_site)
    migrated_cluster.thaw()
    wait_until(lambda: scheduler(remote_site)["status"] == "running", timeout=20, message="it never recovered")
    assert ask(remote_site, "/readyz", within=2).status_code == 200


def test_probes_answer_in_time_though_requests_hang_in_every_thread_but_one(remote_site: Site, migrated_cluster: Cluster) -> None:
    remote_site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY)
    assert ask(remote_site, "/healthz").status_code == 200
    migrated_cluster.freeze()

    def request_jobs(_number: int) -> int:
        answer = httpx2.get(f"{remote_site.base_url}/api/v1alpha1/jobs", headers={"X-API-Key": ADMIN_KEY}, timeout=60, trust_env=False)
        return answer.status_code

    with ThreadPoolExecutor(20) as pool:
        piling_up = [pool.submit(request_jobs, number) for number in range(7)]
        try:
            wait_until(lambda: scheduler(remote_site).get("problem"))
            for number in range(5):
                piling_up.append(pool.submit(request_jobs, number))
                assert is_unready(remote_site)
                assert scheduler(remote_site)["status"] == "stopped"
        finally:
            migrated_cluster.thaw()
        assert {request.result() for request in piling_up} <= {200, 503}
    assert request_jobs(0) == 200


def test_probes_answer_in_time_while_postgresql_is_gone(remote_site: Site, migrated_cluster: Cluster) -> None:
    remote_site.start_web()
    remote_site.start_scheduler(wait=False)
    wait_until(lambda: scheduler(remote_site)["status"] == "running", timeout=20)
    migrated_cluster.stop()
    wait_until(lambda: scheduler(remote_site)["status"] == "stopped", timeout=3)
    assert is_unready(remote_site)
    migrated_cluster.start()
    wait_until(lambda: scheduler(remote_site)["status"] == "running", timeout=30, message="it never recovered")


def test_the_api_says_503_while_postgresql_is_gone(remote_site: Site, migrated_cluster: Cluster) -> None:
    remote_site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY)
    migrated_cluster.stop()
    answer = ask(remote_site, "/api/v1alpha1/jobs", within=3, **{"X-API-Key": ADMIN_KEY})
    assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"
