from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest

from jobs.schedule.gaps import longest_gap
from jobs.schedule.triggers import CronSimTrigger

pytestmark = pytest.mark.once

HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("cron", "seconds"),
    [
        ("* * * * *", 60),
        ("*/20 * * * *", 20 * 60),
        ("@hourly", HOUR),
        ("0 9-17 * * *", 16 * HOUR),
        ("0 9 * * *", DAY),
        ("30 6,18 * * 1-5", 2 * DAY + 12 * HOUR),  # over the weekend
        ("@weekly", 7 * DAY),
        ("0 0 1 * *", 31 * DAY),
        ("0 0 1 1 *", 366 * DAY),
        ("0 0 29 2 *", 4 * 366 * DAY - 3 * DAY),
    ],
)
def test_a_cron_job_may_go_so_long_without_a_run(cron: str, seconds: int) -> None:
    assert longest_gap("cron", 0, cron) == seconds


@pytest.mark.parametrize("cron", ["7,19 3-5 * * *", "*/5 9-17 * * 1-5", "0 0 L * *", "15 */7 1-7 * 2", "0 12 * * 6#1", "0 0 31 * *", "3 4 * 2,11 *"])
def test_it_is_the_longest_of_all_gaps_between_slots(cron: str) -> None:
    start = datetime(2023, 12, 31, 23, 59, tzinfo=UTC)
    slots = islice(CronSimTrigger(cron)._between(start, start + timedelta(days=366 * 2)), 100_000)
    assert longest_gap("cron", 0, cron) == max((later - earlier).total_seconds() for earlier, later in pairwise(slots))


@pytest.mark.parametrize(
    ("trigger", "seconds", "cron"), [("interval", 0, ""), ("once", 0, ""), ("manual", 60, ""), ("cron", 0, ""), ("cron", 0, "x * * * *"), ("cron", 0, "0 0 31 2 *")]
)
def test_a_schedule_that_does_not_repeat_has_none(trigger: str, seconds: int, cron: str) -> None:
    assert longest_gap(trigger, seconds, cron) is None


def test_an_interval_is_its_own() -> None:
    assert longest_gap("interval", 90, "* * * * *") == 90
