"""A definition that cannot be read is named by health, the others run, and it runs again once it was mended."""

from __future__ import annotations

from django.db import connection

from jobs.models import JobRun
from tests.health.asking import scheduler
from tests.support.processes import Site
from tests.support.rows import make_job
from tests.support.waiting import wait_until

DAMAGE = {"sqlite": "'9999-99-99 00:00:00'", "postgresql": "'infinity'"}


def set_paused_until(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs_jobdefinition SET paused_until = {value}, applied_revision = 0 WHERE id = 'bad'")


def succeeded(job: str) -> int:
    return JobRun.objects.filter(job=job, status="succeeded").count()


def test_a_job_that_cannot_be_read_is_named_and_stops_no_other(site: Site) -> None:
    for job in ("bad", "good"):
        make_job(job, function="game_server_watch", interval_seconds=1)
    site.start_web()
    process = site.start_scheduler()
    wait_until(lambda: succeeded("bad") and succeeded("good"))
    set_paused_until(DAMAGE[connection.vendor])
    seen = wait_until(lambda: found if "problem" in (found := scheduler(site)) else None, message="health does not name it")
    assert seen["status"] == "running"
    assert "set aside: the job 'bad': its row cannot be read" in seen["problem"]
    before = succeeded("good")
    wait_until(lambda: succeeded("good") > before + 1, message="the other job does not run")
    assert len(site.events(process, "job_set_aside")) == 1
    assert site.events(process, "scheduler_tick_failed") == []
    set_paused_until("NULL")
    before = succeeded("bad")
    wait_until(lambda: succeeded("bad") > before, message="it does not run after it was mended")
    wait_until(lambda: "problem" not in scheduler(site), message="health names it still")
    assert site.stop(process) == 0
