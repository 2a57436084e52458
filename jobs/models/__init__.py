"""The tables: job definitions, runs, schedulers, totals.  Every rule about rows lives here."""

from jobs.models.author import CODE, Author
from jobs.models.definition import MAX_KEEP_DAYS, JobDefinition
from jobs.models.environment import DatabaseEnvironment
from jobs.models.fixture import forget_what_another_database_applied
from jobs.models.idempotency import IdempotencyKey
from jobs.models.instance import SchedulerInstance
from jobs.models.run import Cause, JobRun
from jobs.models.run_totals import PendingRollup, RollupCursor, RunTotal
from jobs.models.scheduled import ScheduledJob
from jobs.schedule.kinds import FOREVER, MAX_INTERVAL_SECONDS, Status, Trigger

__all__ = [
    "CODE",
    "FOREVER",
    "MAX_INTERVAL_SECONDS",
    "MAX_KEEP_DAYS",
    "Author",
    "Cause",
    "DatabaseEnvironment",
    "IdempotencyKey",
    "JobDefinition",
    "JobRun",
    "PendingRollup",
    "RollupCursor",
    "RunTotal",
    "ScheduledJob",
    "SchedulerInstance",
    "Status",
    "Trigger",
    "forget_what_another_database_applied",
]
