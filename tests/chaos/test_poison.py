"""A damaged row delays no other job, and shows what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from django.db import connection

from jobs.models import JobDefinition
from tests.chaos.accounting import unexplained
from tests.support.sample.schedulers import Schedulers, seconds_between
from tests.support.waiting import wait_until

DELAYED_AT_MOST = 0.1

DAMAGES: dict[str, dict[str, Any]] = {
    "bad_zone": {"trigger": "cron", "cron": "* * * * *", "timezone": "Mars/Olympus"},
    "bad_cron": {"trigger": "cron", "cron": "61 * * * *"},
    "endless_cron": {"trigger": "cron", "cron": "0 0 31 2 *"},
    "huge_cron": {"trigger": "cron", "cron": "0 0 1--100000000 * *"},
    "unknown_function": {"function": "sample_wrok"},
    "kwargs_are_a_list": {"kwargs": [1, 2]},
    "kwargs_are_null": {"kwargs": None},
    "empty_zone": {"trigger": "cron", "cron": "@hourly", "timezone": ""},
    "path_as_zone": {"trigger": "cron", "cron": "@hourly", "timezone": "../../etc/passwd"},
    "ends_before_it_starts": {"starts_at": None, "ends_at": "0001-01-01 00:00:00"},
    "starts_at_the_end_of_time": {"starts_at": "9999-12-31 23:59:59"},
    "huge_jitter": {"jitter_seconds": 2_000_000_000},
    "huge_grace": {"misfire_grace_seconds": 2_000_000_000},
    "huge_timeout": {"timeout_seconds": 2_000_000_000},
}


def damage(job_id: str, values: dict[str, Any]) -> None:
    """Change the row as in a database shell: without validation, and with a new revision so that it is applied."""
    columns = {name: json.dumps(value) if name == "kwargs" else value for name, value in values.items()}
    with connection.cursor() as cursor:
        settings = ", ".join(f"{name} = %s" for name in columns)
        cursor.execute(f"UPDATE jobs_jobdefinition SET {settings}, revision = revision + 1 WHERE id = %s", [*columns.values(), job_id])


def test_damaged_definitions_delay_no_other_job(schedulers: Schedulers) -> None:
    witness = schedulers.job("witness", "sample_work_async")
    for job_id in DAMAGES:
        schedulers.job(job_id)
    process = schedulers.start()
    schedulers.wait_for_runs("witness", 2, "succeeded")
    undisturbed = len(schedulers.runs("witness"))
    for job_id, values in DAMAGES.items():
        damage(job_id, values)
    wait_until(lambda: not JobDefinition.objects.unapplied().exists(), 10, "some were never applied")
    schedulers.wait_for_runs("witness", undisturbed + 5, "succeeded")
    waits = [seconds_between(run.scheduled_for, run.queued_at) for run in schedulers.runs("witness")]
    print("claimed after", [round(wait, 3) for wait in waits])  # noqa: T201 -- pytest shows it on failure
    before, after = sorted(waits[:undisturbed]), sorted(waits[undisturbed:])
    assert after[len(after) // 2] - before[len(before) // 2] < DELAYED_AT_MOST
    assert schedulers.site.events(process, "scheduler_tick_failed") == []
    runs = schedulers.runs("witness")
    assert unexplained(witness, runs, runs[-1].scheduled_for) == []
    check_what_they_say(schedulers)


def check_what_they_say(schedulers: Schedulers) -> None:
    [run, *_] = schedulers.wait_for_runs("unknown_function", 1, "failed")
    assert "'sample_wrok'; the nearest registered name is 'sample_work'" in run.error
    for job_id, kind in {"kwargs_are_a_list": "list", "kwargs_are_null": "NoneType"}.items():
        [run, *_] = schedulers.wait_for_runs(job_id, 1, "failed")
        assert run.error.startswith(f"UnusableArguments: the arguments are {kind}, expected an object")
    assert "Mars/Olympus" in (JobDefinition.objects.get(pk="bad_zone").problem or "")
    unsaid = [
        job_id
        for job_id in ("bad_cron", "endless_cron", "huge_cron", "unknown_function", "kwargs_are_a_list", "path_as_zone")
        if not JobDefinition.objects.get(pk=job_id).problem
    ]
    assert unsaid == []


STATES = {
    "a pickle": b"\x80\x04K\x01.",
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "no schedule": b'{"version": 1}',
    "bad cron": b'{"revision":1,"schedule":{"job_id":"x","trigger":"cron","cron":"no cron"},"policy":{}}',
    "endless cron": b'{"revision":1,"schedule":{"job_id":"x","trigger":"cron","cron":"0 0 31 2 *"},"policy":{}}',
    "text as a number": b'{"revision":1,"schedule":{"job_id":"x","trigger":"interval","interval_seconds":"soon"},"policy":{}}',
    "no anchor": b'{"revision":1,"schedule":{"job_id":"x","trigger":"interval","interval_seconds":1,"anchor":null},"policy":{}}',
    "text as a limit": b'{"revision":1,"schedule":{"job_id":"x","trigger":"interval","interval_seconds":1},"policy":{"max_instances":"many"}}',
}


def test_a_damaged_entry_of_the_store_is_made_anew_and_delays_no_other_job(schedulers: Schedulers) -> None:
    names = [f"damaged_{number}" for number in range(len(STATES))]
    for name in names:
        schedulers.job(name)
    schedulers.job("witness")
    process = schedulers.start()
    for name in names:
        schedulers.wait_for_runs(name, 1, "succeeded")
    counts = {name: len(schedulers.runs(name)) for name in names}
    with connection.cursor() as cursor:
        for name, state in zip(names, STATES.values(), strict=True):
            cursor.execute("UPDATE django_apscheduler_djangojob SET job_state = %s WHERE id = %s", [state, name])
    schedulers.wait_for_runs("witness", len(schedulers.runs("witness")) + 4, "succeeded")
    assert schedulers.site.events(process, "scheduler_tick_failed") == []
    assert max(seconds_between(run.scheduled_for, run.queued_at) for run in schedulers.runs("witness")) < 1
    silent = [what for what, name in zip(STATES, names, strict=True) if len(schedulers.runs(name)) < counts[name] + 2]
    assert silent == []
