"""Whether the schedulers are alive: judged by their last ticks, in one query, by the database's clock."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from django.db import connection

from jobs import conf
from jobs.models.instance import ALIVE_FOR
from jobs.models.readable import attempt
from jobs.models.scheduled import OVERDUE_AFTER

# The clock of the web server is not used: it may differ from the clock that wrote the rows.
_QUERY = """
    WITH clock AS (SELECT {now} AS now),
         limits AS (SELECT now, {alive} AS alive, {ahead} AS ahead, {overdue} AS overdue FROM clock),
         living AS (SELECT problem FROM jobs_schedulerinstance, limits WHERE heartbeat_at BETWEEN alive AND ahead AND NOT stopping),
         running AS (SELECT threads_stuck FROM jobs_schedulerinstance, limits WHERE last_tick_at BETWEEN alive AND ahead AND NOT stopping)
    SELECT (SELECT COUNT(*) FROM django_apscheduler_djangojob),
           (SELECT COUNT(*) FROM django_apscheduler_djangojob, limits WHERE next_run_time < overdue),
           (SELECT COUNT(*) FROM running),
           (SELECT COALESCE(SUM(threads_stuck), 0) FROM running),
           (SELECT MAX(problem) FROM living),
           (SELECT MAX(last_tick_at) FROM jobs_schedulerinstance WHERE last_tick_at BETWEEN '1970-01-01' AND '9999-12-30'),
           (SELECT name FROM jobs_databaseenvironment WHERE id = 1),
           (SELECT now FROM clock)
"""


@dataclass(frozen=True, slots=True)
class SchedulerStatus:
    """The state of all schedulers together.  The defaults stand for a database that does not answer.

    A tick in the future does not count as alive: the clock was set back after it.
    """

    status: Literal["running", "stopped"] = "stopped"
    job_count: int = 0
    last_tick_age_seconds: float | None = None
    instances: int = 0
    overdue_jobs: int = 0
    problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The block of `/healthz`; `problem` is there only when there is one."""
        return {name: value for name, value in asdict(self).items() if name != "problem" or value is not None}


UNKNOWN = SchedulerStatus(problem="the database does not answer")


def read_status() -> SchedulerStatus:
    """Raises DatabaseError."""
    jobs, overdue, running, stuck, instance_problem, last_tick, environment, now = _row()
    foreign = environment is not None and environment != conf.environment()
    problem = None
    if foreign:
        problem = f"the database belongs to the environment {environment!r}, this is {conf.environment()!r}; `manage.py jobs adopt` makes it ours"
    elif instance_problem:
        problem = instance_problem
    elif stuck:
        problem = f"threads stuck in a job function: {stuck}; the scheduler replaced them, and they end when it ends"
    return SchedulerStatus(
        status="running" if running and not foreign else "stopped",
        job_count=jobs,
        last_tick_age_seconds=None if last_tick is None else round(max((now - last_tick).total_seconds(), 0.0), 3),
        instances=running,
        overdue_jobs=overdue,
        problem=problem,
    )


def _row() -> tuple[int, int, int, int, str | None, datetime | None, str | None, datetime]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            times: dict[str, Any] = {"alive": ALIVE_FOR, "overdue": OVERDUE_AFTER}
            cursor.execute(_QUERY.format(now="clock_timestamp()", alive="now - %(alive)s", ahead="now + %(alive)s", overdue="now - %(overdue)s"), times)
            jobs, overdue, running, stuck, problem, last_tick, environment, database_now = cursor.fetchone()
            return jobs, overdue, running, stuck, problem, last_tick, environment, database_now
        now = datetime.now(UTC)
        write = connection.ops.adapt_datetimefield_value
        times = {"now": write(now), "alive": write(now - ALIVE_FOR), "ahead": write(now + ALIVE_FOR), "overdue": write(now - OVERDUE_AFTER)}
        cursor.execute(_QUERY.format(now="%(now)s", alive="%(alive)s", ahead="%(ahead)s", overdue="%(overdue)s"), times)
        jobs, overdue, running, stuck, problem, last_tick, environment, _now = cursor.fetchone()
        ticked, _problem = attempt(lambda: None if last_tick is None else datetime.fromisoformat(last_tick).replace(tzinfo=UTC))
        return jobs, overdue, running, stuck, problem, ticked, environment, now
