"""What one run leaves behind does not meet the next one on its thread, in a worker and in the scheduler's own process."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone

from jobs.models import Author, JobDefinition, JobRun
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")

SAID = {
    "postgresql": {
        "a transaction": "an open transaction",
        "rows of a transaction": "an open transaction",
        "a locked table": "an open transaction",
        "an atomic block": "an atomic block that was entered and not left",
        "a statement timeout": "SET statement_timeout",
        "a time zone": "SET TIME ZONE",
        "a temporary table": "CREATE TEMP TABLE",
        "an advisory lock": "pg_advisory_lock",
        "a listener": "LISTEN",
        "a prepared statement": "PREPARE",
    },
    "sqlite": {
        "a transaction": "an open transaction",
        "rows of a transaction": "an open transaction",
        "an atomic block": "an atomic block that was entered and not left",
        "foreign keys off": "PRAGMA foreign_keys",
    },
}
"""What a run leaves, and what its log says of it."""

UNSAID = ["no autocommit", "a setting by a raw cursor", "a language", "a zone of Django", "a context variable", "a broken connection"]

CLEAN: dict[str, dict[str, Any]] = {
    "postgresql": {"timeout": "0", "zone": "UTC", "table": None, "locks": 0, "listeners": 0, "prepared": 0},
    "sqlite": {"foreign_keys": 1},
}


def request(job_id: str, kwargs: dict[str, Any] | None = None) -> JobRun:
    return JobDefinition.objects.get(pk=job_id).request_run(MIRA, kwargs)


@pytest.mark.parametrize("raises", [True, False], ids=["raises", "returns"])
@pytest.mark.parametrize("workers", ["1", "0"])
def test_a_run_finds_nothing_of_the_runs_before_it_and_their_logs_say_what_they_left(schedulers: Schedulers, workers: str, raises: bool) -> None:
    schedulers.job("leave", "sample_leave", 0, trigger="manual", kwargs={"what": "nothing", "raises": raises})
    schedulers.job("look", "sample_look", 0, trigger="manual")
    process = schedulers.start("--workers", workers, VS_SCHEDULER_THREADS="1")
    clean = CLEAN[connection.vendor] | {"atomic": False, "zone of Django": timezone.get_default_timezone_name(), "context": "nothing"}
    first = schedulers.wait_for_end(request("look"))
    assert first.result is not None
    clean |= {"language": first.result["language"]}  # the site's own
    assert first.result == clean
    said = SAID[connection.vendor]
    complaints = []
    for what in [*said, *UNSAID]:
        left = schedulers.wait_for_end(request("leave", {"what": what}))
        looked = schedulers.wait_for_end(request("look"))
        if left.status != ("failed" if raises else "succeeded"):
            complaints.append(f"{what}: {left.status} {left.error}")
        if looked.status != "succeeded" or looked.result != clean:
            complaints.append(f"{what}: the next run is {looked.status} {looked.error!r} and found {looked.result}")
        if not Group.objects.filter(name=f"made by {looked.pk}").exists():
            complaints.append(f"{what}: the next run's row was not committed")
        if what == "a broken connection":
            is_true = "open transaction" not in left.log  # it may be called broken
        else:
            is_true = said.get(what, "") in left.log and ("warning: this run left" in left.log) == (what in said)
        if not is_true:
            complaints.append(f"{what}: its log says {left.log!r}")
    assert complaints == []
    assert not Group.objects.filter(name="never committed").exists()
    assert schedulers.site.stop(process) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("workers", ["1", "0"])
def test_connections_of_pool_threads_are_closed_after_each_call(schedulers: Schedulers, workers: str) -> None:
    schedulers.job("pooled", "sample_to_thread", 0, trigger="manual", kwargs={"count": 4})
    schedulers.start("--workers", workers)
    schedulers.wait_for_end(request("pooled"))

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%%auth_group%%'")
            return int(cursor.fetchone()[0])

    for _ in range(3):
        assert schedulers.wait_for_end(request("pooled")).status == "succeeded"
    wait_until(lambda: count() == 0, 3, f"{count()} connections of pool threads are open")
