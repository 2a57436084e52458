"""The audit: recompute every slot from the definitions' history, and name each one that has no answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, pairwise
from typing import cast

from django.db.models import QuerySet

from jobs.models import Cause, JobDefinition, JobRun
from jobs.models.readable import UNREADABLE, in_pages, is_damage
from jobs.schedule.schedule import Schedule

NAMED_AT_MOST = 100
PAGE = 2000
"""Rows that are read at once."""


@dataclass(slots=True)
class JobAudit:
    """The result of one job's audit.  `unanswered` names the first hundred slots without a row; `missing` counts all."""

    job_id: str
    slots: int = 0
    missing: int = 0
    unanswered: list[datetime] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in which one schedule was in force: later than `start`, up to and including `end`."""

    schedule: Schedule
    start: datetime
    end: datetime


def audit(since: datetime, now: datetime) -> Iterator[JobAudit]:
    """Audit every job, one at a time: slots later than `since` that should have been answered by `now`."""
    for definition in in_pages(JobDefinition.objects.select_related("scheduled")):
        yield audit_job(definition, since, now)


def audit_job(definition: JobDefinition, since: datetime, now: datetime) -> JobAudit:
    found = JobAudit(definition.pk)
    if definition.unreadable:
        found.problem = definition.unreadable
        return found
    since = max(since, definition.pruned_until or since)
    try:
        for segment in _segments(definition, since, _answered_until(definition, now)):
            _audit_segment(definition, segment, found)
    except (*UNREADABLE, KeyError) as error:
        if not is_damage(error):
            raise
        found.problem = f"its history cannot be read: {type(error).__name__}: {error}"
    return found


def _answered_until(definition: JobDefinition, now: datetime) -> datetime:
    """Slots from the store's next run time on are in the future, or the next tick catches up with them."""
    scheduled = getattr(definition, "scheduled", None)
    if definition.applied_revision != definition.revision:
        return min(now, definition.scheduled_from)
    if scheduled is None or scheduled.next_run_time is None or scheduled.next_run_time > now:
        return now
    return cast("datetime", scheduled.next_run_time) - datetime.resolution


def _segments(definition: JobDefinition, since: datetime, until: datetime) -> Iterator[Segment]:
    # Without edits after `definition` was read: the store's next run time is older than they are.
    records = list(definition.history.filter(revision__lte=definition.revision).order_by("revision", "history_id"))
    if not records:
        if definition.applied_revision:
            raise ValueError("it is empty; the next scheduler that starts writes what is missing")
        return  # a fixture has just brought it
    schedules = [_as_definition(record).schedule for record in records]
    starts = [max(record.scheduled_from, since) for record in records]
    ends = [following.scheduled_from for _record, following in pairwise(records)] + [until]
    for schedule, start, end in zip(schedules, starts, ends, strict=True):
        if min(end, until) > start:
            yield Segment(schedule, start, min(end, until))


def _as_definition(record: object) -> JobDefinition:
    names = [field.attname for field in JobDefinition._meta.concrete_fields if hasattr(record, field.attname)]
    return JobDefinition(**{name: getattr(record, name) for name in names})


def _audit_segment(definition: JobDefinition, segment: Segment, found: JobAudit) -> None:
    """Each row answers the `slots` fire times that end with its own."""
    answered_to = segment.start
    rows = JobRun.objects.filter(job=definition, cause=Cause.SCHEDULE, attempt=1, scheduled_for__gt=segment.start, scheduled_for__lte=segment.end)
    for slot, slots in _answers(rows):
        _compare(segment.schedule, answered_to, slot, slots, found)
        answered_to = slot
    _compare(segment.schedule, answered_to, segment.end, 0, found)


def _answers(rows: QuerySet[JobRun]) -> Iterator[tuple[datetime, int]]:
    """The answered slots in order, some thousand at a time.  Not by `iterator()`: its cursor would not outlive a statement behind a connection pooler."""
    ordered = rows.order_by("scheduled_for").values_list("scheduled_for", "slots")
    page = list(ordered[:PAGE])
    while page:
        yield from page
        page = list(ordered.filter(scheduled_for__gt=page[-1][0])[:PAGE])


def _compare(schedule: Schedule, after: datetime, until: datetime, answered: int, found: JobAudit) -> None:
    expected = _count(schedule, after, until)
    found.slots += expected
    if (missing := expected - answered) > 0:
        found.missing += missing
        room = max(NAMED_AT_MOST - len(found.unanswered), 0)
        found.unanswered += islice(schedule.fire_times(after, until), min(missing, room))


def _count(schedule: Schedule, after: datetime, until: datetime) -> int:
    first = schedule.next_fire_time(after)
    return 0 if first is None or first > until else schedule.due(first, until).count
