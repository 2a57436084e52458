from __future__ import annotations

import signal

from jobs.models import DatabaseEnvironment, JobDefinition
from tests.health.asking import ask, health, scheduler
from tests.support.processes import Site
from tests.support.rows import make_job
from tests.support.waiting import wait_until

STOPPED = {"status": "stopped", "job_count": 0, "last_tick_age_seconds": None, "instances": 0, "overdue_jobs": 0}
GAME = {"game_server", "game_server_version", "game_server_uptime", "game_server_pending_restart", "disk_space"}


def test_a_scheduler_that_was_never_started_is_stopped(site: Site) -> None:
    site.start_web()
    data = health(site)
    assert data["api"] == "healthy"
    assert data.keys() == {"api", "scheduler"} | GAME
    assert data["scheduler"] == STOPPED
    assert ask(site, "/readyz", within=2).status_code == 200


def test_a_running_scheduler_is_running_until_it_ends(site: Site) -> None:
    make_job("one", function="game_server_watch")
    site.start_web()
    process = site.start_scheduler()
    wait_until(lambda: scheduler(site)["job_count"] == JobDefinition.objects.count(), message="the jobs never reached the store")
    seen = scheduler(site)
    assert (seen["status"], seen["instances"], seen["overdue_jobs"]) == ("running", 1, 0)
    assert 0 <= seen["last_tick_age_seconds"] < 10
    assert site.stop(process) == 0
    wait_until(lambda: scheduler(site)["status"] == "stopped", message="an ended scheduler still counts as running")


def test_a_killed_scheduler_is_stopped_after_ten_seconds(site: Site) -> None:
    site.start_web()
    process = site.start_scheduler()
    wait_until(lambda: scheduler(site)["status"] == "running")
    site.stop(process, signal.SIGKILL)
    wait_until(lambda: scheduler(site)["status"] == "stopped", timeout=14, message="a killed scheduler still counts as running")
    assert scheduler(site)["last_tick_age_seconds"] >= 10


def test_a_frozen_scheduler_is_stopped_and_its_jobs_are_overdue(site: Site) -> None:
    make_job("one", function="game_server_watch", interval_seconds=1)
    site.start_web()
    process = site.start_scheduler()
    wait_until(lambda: scheduler(site)["job_count"] == JobDefinition.objects.count())
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: scheduler(site)["status"] == "stopped", timeout=14, message="a frozen scheduler still counts as running")
    wait_until(lambda: scheduler(site)["overdue_jobs"] == 1, timeout=15, message="the job never became overdue")
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: (found := scheduler(site))["status"] == "running" and not found["overdue_jobs"], message="it never recovered")


def test_one_of_two_schedulers_is_enough(site: Site) -> None:
    site.start_web()
    first, _second = site.start_scheduler(), site.start_scheduler()
    wait_until(lambda: scheduler(site)["instances"] == 2)
    site.stop(first, signal.SIGKILL)
    wait_until(lambda: scheduler(site)["instances"] == 1, timeout=14)
    assert scheduler(site)["status"] == "running"


def test_a_database_of_another_environment_is_named(site: Site) -> None:
    DatabaseEnvironment.objects.create(name="production")
    site.start_web(VS_ENVIRONMENT="staging")
    seen = scheduler(site)
    assert seen["status"] == "stopped"
    assert "'production'" in seen["problem"]
    assert "'staging'" in seen["problem"]
