from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from django.db.models import Sum

from jobs.models import JobDefinition, JobRun
from tests.support.api import ADMIN_KEY
from tests.support.processes import Site
from tests.support.rows import make_job
from tests.support.waiting import wait_until

CONNECTIONS = 16
SECONDS = 10.0


def answered_slots() -> int:
    return JobRun.objects.aggregate(slots=Sum("slots"))["slots"] or 0


def test_reads_and_writes_at_once_lose_nothing_while_the_scheduler_works(site: Site) -> None:
    """16 connections read and edit while 50 jobs run every second: no error, no lock, no lost edit."""
    for number in range(50):
        make_job(f"busy-{number}", function="game_server_watch", interval_seconds=1)
    for number in range(CONNECTIONS):
        make_job(f"edited-{number}", interval_seconds=3600)
    site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY)
    scheduler = site.start_scheduler()
    wait_until(lambda: JobRun.objects.filter(status="succeeded").count() > 50, timeout=20)
    before = answered_slots()
    statuses: Counter[int] = Counter()
    lock = threading.Lock()
    end = time.monotonic() + SECONDS

    def work(number: int) -> int:
        mine, edits = Counter[int](), 0
        with httpx2.Client(base_url=f"{site.base_url}/api/v1alpha1", headers={"X-API-Key": ADMIN_KEY}, timeout=30, trust_env=False) as client:
            while time.monotonic() < end:
                answers = [client.get("/jobs?limit=20"), client.get("/runs?limit=20"), client.get(f"/jobs/busy-{number}/runs")]
                changed = client.patch(f"/jobs/edited-{number}", json={"title": f"edit {edits + 1}"})
                edits += changed.status_code == 200
                mine.update(answer.status_code for answer in [*answers, changed])
        with lock:
            statuses.update(mine)
        return edits

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        edits = list(pool.map(work, range(CONNECTIONS)))
    assert statuses.keys() == {200}
    revisions = {job.pk: (job.revision, job.title) for job in JobDefinition.objects.filter(pk__startswith="edited-")}
    assert revisions == {f"edited-{number}": (count + 1, f"edit {count}") for number, count in enumerate(edits)}
    for process in site.processes:
        assert "database is locked" not in site.output(process)
    assert not site.events(scheduler, "scheduler_tick_failed")
    # On a slow machine several slots share a run; each is answered all the same.
    wait_until(lambda: answered_slots() - before >= 50 * (SECONDS - 1), message="the scheduler did not keep up")


@pytest.mark.once
def test_among_many_wrong_keys_the_right_one_is_not_checked_either(site: Site) -> None:
    site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY, VS_API_REQUESTS_PER_MINUTE="6")
    bad = [httpx2.get(f"{site.base_url}/api/v1alpha1/jobs", headers={"X-API-Key": "wrong"}, trust_env=False).status_code for _ in range(20)]
    assert Counter(bad).keys() == {401, 429}
    answer = httpx2.get(f"{site.base_url}/api/v1alpha1/jobs", headers={"X-API-Key": ADMIN_KEY}, trust_env=False)
    assert answer.status_code == 429  # else the attempts above could go on, and the right one would be noticed


@pytest.mark.once
@pytest.mark.parametrize("size", [9_000, 100_000])
def test_a_huge_key_is_401_like_any_other(size: int, site: Site) -> None:
    site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY)
    answer = httpx2.get(f"{site.base_url}/api/v1alpha1/jobs", headers={"X-API-Key": "k" * size}, trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
