"""docs/alerts.yml: each alert fires when it should, ends, and says nothing about what is healthy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.promtool import DAY, HOUR, PROMTOOL, Target, alert, expect_alerts

pytestmark = [pytest.mark.once, pytest.mark.skipif(not PROMTOOL, reason="no promtool on this machine (Debian: apt install prometheus)")]

DOWN = alert("SchedulerDown", installation="production")
FAILING = alert("JobFailing", installation="production", job_id="backup")


def every(minutes: int, until: int, start: int = 0) -> range:
    return range(start, until, minutes)


def test_healthy_jobs_are_not_told_of_however_seldom_they_run(tmp_path: Path) -> None:
    target, end = Target(), 8 * DAY
    target.job("hourly", interval=HOUR, successes=every(HOUR, end))
    target.job("daily", interval=DAY, successes=every(DAY, end))
    target.job("weekdays", interval=3 * DAY, successes=[DAY * day for day in range(8) if day % 7 < 5], trigger="cron")
    target.job("weekly", interval=7 * DAY, successes=every(7 * DAY, end), trigger="cron")
    target.job("monthly", interval=31 * DAY, successes=[DAY], trigger="cron")
    target.job("with-a-failure", interval=DAY, successes=[DAY * day for day in range(8) if day % 5], failures=[DAY * day for day in range(8) if not day % 5])
    target.job("manual", interval=None, successes=[DAY], failures=[2 * DAY, 3 * DAY])
    target.job("once", interval=None, successes=[DAY], trigger="once")
    target.job("once-later", interval=None, trigger="once")
    target.job("new", interval=365 * DAY)
    expect_alerts(tmp_path, [target], {DAY * day + 10: [] for day in range(8)}, step=5)


@pytest.mark.parametrize(("interval", "told_at"), [(HOUR, 2 * HOUR + 20), (DAY, 2 * DAY + 20)], ids=["hourly", "daily"])
def test_a_job_that_always_fails_is_told_of_after_two_intervals(tmp_path: Path, interval: int, told_at: int) -> None:
    target, mended = Target(), 3 * interval
    target.job("backup", interval=interval, successes=[0, mended], failures=every(interval, mended, interval))
    expect_alerts(tmp_path, [target], {interval + 20: [], told_at - 15: [], told_at: [FAILING], mended - 5: [FAILING], mended + 10: []}, step=5)


@pytest.mark.parametrize("status", ["failed", "timed_out", "abandoned", "missed"])
def test_a_job_that_never_succeeded_is_told_of(tmp_path: Path, status: str) -> None:
    target = Target()
    target.job("backup", interval=HOUR, successes=[5 * HOUR], failures=every(HOUR, 5 * HOUR, HOUR), status=status)
    expect_alerts(tmp_path, [target], {HOUR + 30: [], 2 * HOUR + 10: [FAILING], 5 * HOUR + 10: []})


def test_a_failing_job_that_is_disabled_is_not_told_of(tmp_path: Path) -> None:
    target = Target()
    target.job("backup", interval=HOUR, successes=[0], failures=every(HOUR, DAY, HOUR), enabled={0: 1, 6 * HOUR: 0})
    target.job("never", interval=HOUR, failures=every(HOUR, DAY, HOUR), enabled={0: 0})
    expect_alerts(tmp_path, [target], {6 * HOUR - 5: [FAILING], 6 * HOUR + 5: []})


def many_jobs(target: Target, down: int, up: int, **others: Any) -> None:
    """Jobs that all are overdue while no scheduler runs, and have missed slots after it."""
    for number in range(5):
        times = [*every(HOUR, down), *every(HOUR, up + DAY, up + 50)]
        target.job(f"job-{number}", interval=HOUR, successes=times, failures=[up + 4], status="missed", overdue={0: 0, down: 1, up + 4: 0}, **others)


def test_a_scheduler_that_is_down_raises_one_alert_and_none_after_it(tmp_path: Path) -> None:
    target, down, up = Target(), DAY, DAY + 8 * HOUR
    many_jobs(target, down, up)
    target.add("vsadmin_scheduler_up", {0: 1, down: 0, up: 1})
    told: dict[int, list[str]] = {down - 4: [], down + 5: [DOWN], down + 4 * HOUR: [DOWN], up - 1: [DOWN]}
    expect_alerts(tmp_path, [target], told | {minute: [] for minute in range(up + 1, up + 3 * HOUR, 10)}, step=4)


def test_two_web_servers_of_one_installation_are_one_alert(tmp_path: Path) -> None:
    targets = [Target("a:8000"), Target("b:8000")]
    for target in targets:
        target.add("vsadmin_scheduler_up", {0: 1, HOUR: 0})
        many_jobs(target, HOUR, DAY)
    expect_alerts(tmp_path, targets, {HOUR - 1: [], HOUR + 30: [DOWN], 5 * HOUR: [DOWN]})


@pytest.mark.parametrize("names", [("production", "staging"), ("default", "default")], ids=["named", "unnamed"])
def test_installations_do_not_hide_each_other(tmp_path: Path, names: tuple[str, str]) -> None:
    targets = [Target(instance, name) for instance, name in zip(("a:8000", "b:8000"), names, strict=True)]
    first, second = ("a:8000", "b:8000") if names[0] == names[1] else names
    targets[0].add("vsadmin_scheduler_up", {0: 1, HOUR: 0, 2 * HOUR: 1})
    targets[0].job("backup", interval=HOUR, successes=every(HOUR, DAY))
    targets[1].job("backup", interval=HOUR, successes=[0], failures=every(HOUR, DAY, HOUR))
    failing = alert("JobFailing", installation=second, job_id="backup")
    expect_alerts(tmp_path, targets, {30: [], HOUR + 30: [alert("SchedulerDown", installation=first)], 3 * HOUR: [failing]})


def test_the_same_job_fails_in_two_installations(tmp_path: Path) -> None:
    targets = [Target("a:8000", "production"), Target("b:8000", "staging")]
    for target in targets:
        target.job("backup", interval=HOUR, successes=[0], failures=every(HOUR, DAY, HOUR))
    expect_alerts(tmp_path, targets, {3 * HOUR: [FAILING, alert("JobFailing", installation="staging", job_id="backup")]})


def test_restarts_of_the_scheduler_do_not_hide_a_failing_job(tmp_path: Path) -> None:
    target = Target()
    target.add("vsadmin_scheduler_up", {minute: value for day in range(4) for minute, value in ((day * DAY, 1), (day * DAY + 600, 0), (day * DAY + 604, 1))})
    target.job("backup", interval=DAY, successes=[0], failures=every(DAY, 4 * DAY, DAY))
    expect_alerts(tmp_path, [target], {2 * DAY + 5: [], 2 * DAY + 20: [FAILING], 3 * DAY + 700: [FAILING]}, step=4)


def test_a_job_that_nobody_claims_is_told_of(tmp_path: Path) -> None:
    target = Target()
    target.job("backup", interval=HOUR, successes=every(HOUR, DAY), overdue={0: 0, 30: 1, 31: 0, 70: 1, 80: 0})
    expect_alerts(tmp_path, [target], {33: [], 75: [alert("JobOverdue", installation="production", job_id="backup")], 82: []})


@pytest.mark.parametrize("succeeded_before", [True, False])
def test_a_job_whose_run_does_not_end_is_told_of_after_a_day(tmp_path: Path, succeeded_before: bool) -> None:
    target, ended = Target(), 2 * DAY
    successes = [0, ended] if succeeded_before else [ended]
    target.job("backup", interval=HOUR, successes=successes, failures=every(HOUR, ended, 2 * HOUR), status="skipped")
    target.job("often-skipped", interval=5, successes=every(HOUR, 3 * DAY), failures=every(5, 3 * DAY, 5), status="skipped")
    stuck = alert("JobStuck", installation="production", job_id="backup")
    expect_alerts(tmp_path, [target], {DAY: [], DAY + 2 * HOUR + 10: [stuck], ended - 5: [stuck], ended + 10: []}, step=5)


def test_a_job_that_runs_once_and_fails_is_told_of_until_it_succeeds(tmp_path: Path) -> None:
    target = Target()
    target.job("move", interval=None, failures=[30], status="missed", successes=[2 * HOUR], trigger="once")
    expect_alerts(tmp_path, [target], {29: [], 40: [alert("OneOffJobFailed", installation="production", job_id="move")], 2 * HOUR + 5: []})


def test_a_target_that_does_not_answer_is_told_of_though_others_do(tmp_path: Path) -> None:
    gone = Target("a:8000", "production")
    gone.series = {name: {0: 1, 30: None, 90: 1} for name in gone.series}
    gone.add("up", {0: 1, 30: 0, 90: 1})
    unreachable = alert("Unreachable", instance="a:8000")
    expect_alerts(tmp_path, [gone, Target("b:8000", "staging")], {29: [], 40: [unreachable], 89: [unreachable], 95: []})
    expect_alerts(tmp_path, [gone], {29: [], 40: [unreachable], 95: []})


def test_metrics_that_never_came_are_told_of(tmp_path: Path) -> None:
    refused = Target()
    refused.series = {}
    refused.add("up", {0: 0})
    expect_alerts(tmp_path, [refused], {10: [alert("Unreachable")]})
