from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from jobs.schedule.validators import _cron_problem, cron_problem, expand_cron, validate_timezone

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "expression",
    ["* * * * *", "*/15 2-5 * * MON-FRI", "0 0 29 2 *", "0 0 L * *", "0 0 * * 5L", "0 0 * * MON#2", "59 23 31 12 7", "@hourly", "@Daily", "  5   4 * * *  "],
)
def test_what_cron_understands_is_accepted(expression: str) -> None:
    assert cron_problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("61 * * * *", "The minute field cannot be 61. Expected 0-59"),
        ("* 24 * * *", "The hour field cannot be 24. Expected 0-23"),
        ("* * 0 * *", "The day-of-month field cannot be 0"),
        ("* * * FOO *", "The month field cannot be FOO"),
        ("* * * * 8", "The day-of-week field cannot be 8"),
        ("0 0 31 2 *", "The day-of-month field cannot be 31. Expected 1-31, or lists, ranges and steps of these, on dates that exist"),
        ("0 0 1--100000000 * *", "The day-of-month field cannot be 1--100000000"),
        ("*/0 * * * *", "The minute field cannot be */0"),
        ("5-1 * * * *", "The minute field cannot be 5-1"),
        ("", "Expected five fields (minute hour day-of-month month day-of-week) or an alias such as @hourly, got 0"),
        ("* * * *", "got 4"),
        ("* * * * * *", "got 6"),
        ("@reboot", "@reboot is not a known alias; use one of @yearly"),
        ("* * * * \0", "The day-of-week field cannot be"),
        ("* " * 200, "Expected at most 255 characters"),
        ("٣ * * * *", "The minute field cannot be"),
    ],
)
def test_what_cron_does_not_understand_is_refused_with_the_part_that_is_wrong(expression: str, problem: str) -> None:
    assert problem in (cron_problem(expression) or "")


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 1--100000000 * *",
        "0-99999999 * * * *",
        "*/1" + "0" * 200 + " * * * *",
        ",".join(["0"] * 120) + " * * * *",
        "1-2-3-4-5-6-7-8 * * * *",
        "0 0 31 2,4,6,9,11 *",
        "0 0 31 2 */7",
        "* * * * MON#9999999",
    ],
)
def test_hostile_expressions_are_refused_with_little_work(expression: str) -> None:
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    _cron_problem.cache_clear()
    sys.setprofile(count)
    try:
        problem = cron_problem(expression)
    finally:
        sys.setprofile(None)
    assert problem is not None
    assert calls < 2000


def test_an_alias_stands_for_five_fields() -> None:
    assert expand_cron(" @HOURLY ") == "0 * * * *"
    assert expand_cron("1  2\t3 4 5") == "1 2 3 4 5"


@pytest.mark.parametrize("zone", ["Europe/Vienna", "UTC", "Australia/Lord_Howe"])
def test_iana_zones_are_accepted(zone: str) -> None:
    validate_timezone(zone)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 5000, "UTC\n"])
def test_any_other_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="Unknown time zone"):
        validate_timezone(zone)
