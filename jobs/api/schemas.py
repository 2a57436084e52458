"""The responses of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.db.models import TextChoices
from django.utils.timezone import now
from ninja import Schema
from pydantic import Field, WithJsonSchema

from jobs.api.envelope import one_of
from jobs.models import Cause, JobDefinition, JobRun, Status, Trigger
from jobs.models.scheduled import is_overdue
from jobs.registry import JobFunction

DEPRECATED = {"deprecated": True}
RunStatus = Annotated[str, one_of(*Status.values)]
RunCause = Annotated[str, one_of(*Cause.values)]
TriggerKind = Annotated[str, one_of(*Trigger.values)]
Arguments = Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": True})]


class LastRun(Schema):
    id: int
    status: RunStatus
    started_at: datetime | None
    duration: float | None

    @classmethod
    def of(cls, run: JobRun) -> LastRun:
        return cls.model_construct(id=run.pk, status=run.status, started_at=run.started_at, duration=run.duration)


class JobOut(Schema):  # type: ignore[no-redef]  # the plugin takes the field `kwargs` for a parameter of __init__
    """A job; `problem` is null, or the reason why it cannot be scheduled or run."""

    id: str
    next_run_time: datetime | None
    trigger: TriggerKind
    trigger_type: Annotated[str, Field(description="Use `trigger`.", json_schema_extra=DEPRECATED)]
    trigger_details: Annotated[str, Field(description="Use `schedule`.", json_schema_extra=DEPRECATED)]
    title: str
    schedule: str
    problem: str | None
    overdue: bool
    last_run: LastRun | None
    function: str
    kwargs: Arguments
    interval_seconds: int
    cron: str
    run_at: datetime | None
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    jitter_seconds: int
    enabled: bool
    paused_until: datetime | None
    pause_reason: str
    max_instances: int
    coalesce: bool
    misfire_grace_seconds: int | None
    timeout_seconds: int | None
    max_retries: int
    retry_backoff_seconds: int
    retry_abandoned: bool
    executor: Annotated[str, one_of("local", "process")]
    keep_runs: int | None
    keep_days: int | None
    revision: int
    applied_revision: int
    applied_at: datetime | None
    origin: Annotated[str, one_of("code", "staff")]
    overridden: Annotated[Any, WithJsonSchema({"type": "array", "items": {"type": "string"}})]
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, job: JobDefinition, last_run: JobRun | None) -> JobOut:
        """A damaged job is shown with its problem instead of its schedule."""
        problem, schedule, scheduled = job.problem, job.schedule, getattr(job, "scheduled", None)
        next_run_time = scheduled.next_run_time if scheduled else None
        computed: dict[str, Any] = {
            "next_run_time": next_run_time,
            "overdue": is_overdue(next_run_time, now()),
            "trigger_type": job.trigger,
            "trigger_details": schedule.details,
            "schedule": "" if problem else schedule.describe(),
            "problem": problem,
            "last_run": LastRun.of(last_run) if last_run else None,
        }
        columns = {name: _plain(getattr(job, name)) for name in cls.model_fields if name not in computed}
        return cls.model_construct(**computed, **columns)  # not validated: that took half the time of a page of 100 jobs


def _plain(value: object) -> Any:
    return value.value if isinstance(value, TextChoices) else value


class RunOut(Schema):  # type: ignore[no-redef]  # the plugin takes the field `kwargs` for a parameter of __init__
    """One attempt for a slot or a request; `lateness` and `duration` in seconds."""

    id: int
    job_id: str
    scheduled_for: datetime
    slots: int
    cause: RunCause
    attempt: int
    status: RunStatus
    reason: str
    queued_at: datetime
    not_before: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    lateness: float | None
    duration: float | None
    instance: str
    requested_by: str
    cancel_requested_at: datetime | None
    kwargs: Any
    progress: Any
    error: str


class RunDetails(RunOut):  # type: ignore[no-redef]  # the plugin takes the field `kwargs` for a parameter of __init__
    result: Any
    traceback: str


class FunctionOut(Schema):
    """A registered function; `defaults` is null, or the fields of the definition that a scheduler creates for it."""

    name: str
    title: str
    is_async: bool
    parameters: list[str]
    defaults: dict[str, Any] | None

    @classmethod
    def of(cls, function: JobFunction) -> FunctionOut:
        return cls(
            **{name: getattr(function, name) for name in ("name", "title", "is_async")},
            parameters=[str(parameter) for parameter in function.signature.parameters.values()],
            defaults=function.definition_defaults(),
        )


class InstanceOut(Schema):
    id: str
    hostname: str
    pid: int
    version: str
    started_at: datetime
    heartbeat_at: datetime
    last_tick_at: datetime | None
    stopping: bool
    runs_active: int
    runs_finished: int
    threads: int
    threads_stuck: int
    workers: int
    problem: str


class SchedulerOut(Schema):
    """The block `scheduler` of `/healthz`."""

    status: Literal["running", "stopped"]
    job_count: int
    last_tick_age_seconds: float | None
    instances: int
    overdue_jobs: int
    problem: str | None = None


class JobData(Schema):
    job: JobOut


class JobsData(Schema):
    jobs: list[JobOut]
    total: int
    next: str | None


class RunData(Schema):
    run: RunOut


class RunDetailsData(Schema):
    run: RunDetails


class RunsData(Schema):
    runs: list[RunOut]
    next: str | None


class LogData(Schema):
    log: str


class UpcomingData(Schema):
    upcoming: list[datetime]
    schedule: str
    problem: str | None = None


class FunctionsData(Schema):
    functions: list[FunctionOut]


class SchedulerData(Schema):
    scheduler: SchedulerOut
    instances: list[InstanceOut]


class CallerData(Schema):
    name: str
    role: Annotated[str, one_of("admin", "monitor", "staff", "user")]


class MessageData(Schema):
    message: str
