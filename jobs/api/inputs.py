"""The bodies and parameters that the API accepts: types and ranges.  The model validates how fields fit together."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError

from jobs.models import MAX_INTERVAL_SECONDS, MAX_KEEP_DAYS, Status, Trigger
from jobs.storable import json_problem

MAX_NUMBER = 2_147_483_647
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Whole:
    """Marks an integer field with a range: fractions, strings and booleans are refused, all with one message."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(Annotated[source, Field(strict=True, ge=self.low, le=self.high), BeforeValidator(self._check)])

    def _check(self, value: object) -> object:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high):
            raise PydanticCustomError("whole_number", "expected a whole number from {low} to {high}", {"low": self.low, "high": self.high})
        return value


def _looks_like_time(value: object) -> object:
    """Refuse what pydantic takes for seconds since 1970: numbers, and strings of digits."""
    if value is not None and not (isinstance(value, str) and DATE.match(value)):
        raise PydanticCustomError("time", "expected a time with its zone, such as 2026-12-24T18:00:00+01:00")
    return value


def _in_range(at: datetime) -> datetime:
    """Refuse times near the ends of the calendar, where a change of zone or an added interval overflows."""
    if not 1970 <= at.year <= 9998:
        raise PydanticCustomError("time", "expected a time from 1970 to 9998")
    return at.astimezone(UTC)


def _storable(value: object) -> object:
    """Refuse JSON that a database cannot store."""
    if problem := json_problem(value):
        raise PydanticCustomError("unstorable", "{problem}", {"problem": problem})
    return value


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Time = Annotated[AwareDatetime, BeforeValidator(_looks_like_time), AfterValidator(_in_range)]
Arguments = Annotated[dict[str, Any], AfterValidator(_storable)]
Id = Annotated[str, Field(pattern=r"^[-a-zA-Z0-9_]+$", max_length=100, description="Letters, digits, - and _. Cannot be changed later.", examples=["backup"])]
Interval = Annotated[int, Whole(0, MAX_INTERVAL_SECONDS)]
Number = Annotated[int, Whole(0, MAX_NUMBER)]
Limit = Annotated[int, Field(ge=1, le=200, description="Maximum number of results.")]


class Strict(Schema):
    """Refuses unknown fields."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """The fields that the client sent, without defaults."""
        return self.model_dump(exclude_unset=True)


class Body(Strict):
    """A JSON body.

    Its schema has no `default`: generated clients would send each default as if somebody had chosen it, and strict
    TypeScript would demand the field.  The descriptions name the defaults instead.
    """

    names_defaults: ClassVar = True

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        reference = handler(core_schema)
        for field in handler.resolve_ref_schema(reference)["properties"].values():
            default = field.pop("default", None)
            if cls.names_defaults and default is not None:
                field["description"] = f"{field.get('description', '')} Default: {json.dumps(default)}.".strip()
        return reference


class ScheduleFields(Body):
    trigger: Trigger = Trigger.INTERVAL
    interval_seconds: Annotated[Interval, Field(description="Seconds between two scheduled times; 0 takes the job off the schedule.", examples=[3600])] = 0
    cron: Annotated[Text, Field(max_length=255, description="Five fields as in cron, or @hourly, @daily, …", examples=["30 2 * * *"])] = ""
    run_at: Time | None = None
    timezone: Annotated[Text, Field(max_length=64, description="An IANA time zone.", examples=["Europe/Vienna"])] = "UTC"
    starts_at: Time | None = None
    ends_at: Time | None = None
    jitter_seconds: Annotated[int, Whole(0, 86_400)] = 0


class JobFields(ScheduleFields):
    """What may be said of a job when it is made, and changed later."""

    title: Annotated[Text, Field(max_length=200, examples=["Back up the world"])] = ""
    function: Annotated[Text, Field(max_length=200, description="A name from GET /functions.")] = ""
    kwargs: Annotated[Arguments, Field(description="Arguments of the function.")] = {}
    enabled: Annotated[bool, Field(strict=True)] = True
    max_instances: Annotated[int, Whole(1, 1000)] = 1
    coalesce: Annotated[bool, Field(strict=True)] = True
    misfire_grace_seconds: Number | None = 60
    timeout_seconds: Annotated[int, Whole(1, MAX_NUMBER)] | None = None
    max_retries: Annotated[int, Whole(0, 100)] = 0
    retry_backoff_seconds: Annotated[int, Whole(1, 86_400)] = 30
    retry_abandoned: Annotated[bool, Field(strict=True)] = False
    executor: Literal["local", "process"] = "local"
    keep_runs: Number | None = 1000
    keep_days: Annotated[int, Whole(0, MAX_KEEP_DAYS)] | None = 30


class JobChange(JobFields):
    """Fields to change; fields that are left out keep their values."""

    names_defaults = False


class JobCreate(JobFields):
    """A new job; fields that are left out get their defaults."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"id": "mods_at_night", "function": "mod_cache_refresh", "trigger": "cron", "cron": "30 2 * * *"}]},
    )

    id: Id
    function: Annotated[Text, Field(min_length=1, max_length=200, description="A name from GET /functions.", examples=["mod_cache_refresh"])]


class Preview(ScheduleFields):
    """A schedule to preview; it is not stored."""

    count: Annotated[int, Whole(1, 200)] = 5


class RunRequest(Body):
    kwargs: Annotated[Arguments, Field(description="Arguments that override those of the definition, one by one, for this run.")] | None = None


class Pause(Body):
    until: Annotated[Time | None, Field(description="null: until the job is resumed.")] = None
    reason: Annotated[Text, Field(max_length=200)] = ""


Flag = Annotated[bool | None, Field(description="true or false; omit it for both.")]


class JobsQuery(Strict):
    search: Annotated[Text, Field(max_length=100, description="Searches id, title and function.")] = ""
    function: Annotated[Text, Field(max_length=200)] = ""
    trigger: Trigger | None = None
    enabled: Flag = None
    overdue: Flag = None
    archived: Annotated[bool, Field(description="Archived jobs instead of current ones.")] = False
    last_status: Annotated[Status | None, Field(description="The status of the last run.")] = None
    order: Literal["id", "-id", "title", "-title", "next_run_time", "-next_run_time", "updated_at", "-updated_at"] = "id"
    limit: Limit = 100
    cursor: Annotated[str, Field(max_length=3000, pattern=r"^[0-9A-Za-z_-]*$", description="From `next` of the previous page.")] = ""
    offset: Annotated[int | None, Field(ge=0, le=1_000_000, description="Instead of a cursor; jobs that come and go meanwhile shift the pages.")] = None


class JobRunsQuery(Strict):
    status: Status | None = None
    cursor: Annotated[str, Field(max_length=100, pattern=r"^[0-9A-Za-z_-]*$", description="From `next` of the previous page.")] = ""
    limit: Limit = 50


class RunsQuery(JobRunsQuery):
    job: Annotated[Text, Field(max_length=100, description="The id of a job.")] = ""


class UpcomingQuery(Strict):
    count: Annotated[int, Field(ge=1, le=200)] = 10
