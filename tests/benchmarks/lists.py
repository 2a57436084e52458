"""The lists that people and programs read: 10,000 jobs, 1,000,000 runs."""

from __future__ import annotations

import time

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.benchmarks.environment import KEY
from tests.benchmarks.result import Result, at_most
from tests.benchmarks.rows import make_history, make_jobs
from tests.benchmarks.setup import Setup

REPEAT = 15


def measure(setup: Setup) -> list[Result]:
    jobs, runs = setup.count(10_000, 300), setup.count(1_000_000, 2000)
    make_jobs(jobs, 3600, applied=True)
    make_history(runs, jobs)
    staff, program = Client(), Client(headers={"X-API-Key": KEY})
    staff.force_login(User.objects.create_superuser("bench"))
    return [
        *_page(staff, f"admin, list of {jobs:,} jobs", "/admin/jobs/jobdefinition/", 10, 150),
        *_page(staff, f"admin, list of {runs:,} runs", "/admin/jobs/jobrun/", 10, 200),
        *_page(staff, "admin, runs of one job, page 2", f"/admin/jobs/jobrun/?job=job7&before={runs // 2 // jobs * jobs + 7}", 10, 200),
        *_page(program, f"API, 100 of {jobs:,} jobs with last run", "/api/v1alpha1/jobs?limit=100", 4, 30),
        *_page(program, f"API, 100 of {runs:,} runs", "/api/v1alpha1/runs?limit=100", 4, 30),
    ]


def _page(client: Client, what: str, url: str, queries: int, limit_ms: float) -> list[Result]:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(url)
    asked = len(captured)
    if response.status_code != 200:
        raise AssertionError(f"{url}: {response.status_code}")
    times = []
    for _ in range(REPEAT):
        started = time.monotonic()
        client.get(url)
        times.append(time.monotonic() - started)
    return [
        at_most(what, sorted(times)[REPEAT // 2] * 1000, limit_ms, " ms", f"median of {REPEAT}, slowest {max(times) * 1000:.0f} ms"),
        at_most(f"{what}: queries", asked, queries),
    ]
