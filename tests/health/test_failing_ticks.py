"""Health says that nothing runs, and why, while a scheduler lives and none of its ticks completes."""

from __future__ import annotations

from django.db import connection

from jobs.models import JobRun, SchedulerInstance
from tests.health.asking import scheduler
from tests.support.processes import Site
from tests.support.rows import make_job
from tests.support.waiting import wait_until

REFUSE = {
    "sqlite": ["CREATE TRIGGER refuse_runs BEFORE INSERT ON jobs_jobrun BEGIN SELECT RAISE(ABORT, 'no more runs'); END"],
    "postgresql": [
        "CREATE FUNCTION refuse_runs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no more runs'; END $$",
        "CREATE TRIGGER refuse_runs BEFORE INSERT ON jobs_jobrun FOR EACH ROW EXECUTE FUNCTION refuse_runs()",
    ],
}
ALLOW = {
    "sqlite": ["DROP TRIGGER refuse_runs"],
    "postgresql": ["DROP TRIGGER refuse_runs ON jobs_jobrun", "DROP FUNCTION refuse_runs()"],
}


def execute(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_ticks_that_fail_are_no_sign_of_life(site: Site) -> None:
    make_job("witness", function="game_server_watch", interval_seconds=1)
    site.start_web()
    process = site.start_scheduler()
    wait_until(lambda: JobRun.objects.filter(job="witness", status="succeeded").count() >= 2)
    execute(REFUSE[connection.vendor])
    try:
        seen = wait_until(lambda: found if (found := scheduler(site))["status"] == "stopped" else None, 14, "it still counts as running")
        assert "ticks fail since" in seen["problem"]
        assert "no more runs" in seen["problem"]
        assert "Error: " in seen["problem"]
        # It lives all the same: nobody may take its runs away.
        row = SchedulerInstance.objects.get()
        assert row.last_tick_at is not None
        assert (row.heartbeat_at - row.last_tick_at).total_seconds() > 5
    finally:
        execute(ALLOW[connection.vendor])
    wait_until(lambda: scheduler(site)["status"] == "running", message="it never recovered")
    wait_until(lambda: "problem" not in scheduler(site))
    before = JobRun.objects.filter(job="witness", status="succeeded").count()
    wait_until(lambda: JobRun.objects.filter(job="witness", status="succeeded").count() > before)
    assert site.stop(process) == 0
