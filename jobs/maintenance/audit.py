"""The audit: recompute every slot from the definitions' history, and name each one without an answer, and each answer without a slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import cast

from django.db.models import Max, QuerySet

from jobs.models import Cause, JobDefinition, JobRun
from jobs.models.readable import UNREADABLE, in_pages, is_damage
from jobs.schedule.schedule import Schedule

NAMED_AT_MOST = 100
LONGEST_EDIT = timedelta(seconds=30)
"""From the moment that an edit is dated to its commit."""

PAGE = 2000
"""Rows that are read at once."""


@dataclass(slots=True)
class JobAudit:
    """The result of one job's audit.

    `unanswered` names the first hundred slots without a row, `missing` counts all; `unexpected` names the first hundred
    rows that answer no slot, or more slots than there were, and `surplus` counts their answers.
    """

    job_id: str
    slots: int = 0
    missing: int = 0
    unanswered: list[datetime] = field(default_factory=list)
    surplus: int = 0
    unexpected: list[datetime] = field(default_factory=list)
    problem: str = ""

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to report."""
        return not (self.missing or self.surplus or self.problem)

    def miss(self, count: int, slots: Iterator[datetime]) -> None:
        self.missing += count
        self.unanswered += islice(slots, min(count, max(NAMED_AT_MOST - len(self.unanswered), 0)))

    def exceed(self, count: int, slot: datetime) -> None:
        self.surplus += count
        self.unexpected += [slot][: NAMED_AT_MOST - len(self.unexpected)]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in which one schedule was in force: later than `start`, up to and including `end`."""

    schedule: Schedule
    start: datetime
    end: datetime
    before: Schedule | None = None
    """The schedule before it."""
    is_clipped: bool = False
    """Whether the schedule was in force before `start`, too: the first row may answer slots of that time."""


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
    """Slots from the store's next run time on are in the future, or the next tick catches up with them.

    While the clock was ahead, slots were answered that are in the future again: with rows that count the ones before them.
    """
    if definition.applied_revision != definition.revision:
        return min(now, definition.scheduled_from)
    answered = max(now, _scheduled(definition).aggregate(latest=Max("scheduled_for"))["latest"] or now)
    scheduled = getattr(definition, "scheduled", None)
    if scheduled is None or scheduled.next_run_time is None or scheduled.next_run_time > answered:
        return answered
    return cast("datetime", scheduled.next_run_time) - datetime.resolution


def _scheduled(definition: JobDefinition) -> QuerySet[JobRun]:
    return JobRun.objects.filter(job=definition, cause=Cause.SCHEDULE, attempt=1).order_by()


def _segments(definition: JobDefinition, since: datetime, until: datetime) -> Iterator[Segment]:
    # Without edits after `definition` was read: the store's next run time is older than they are.
    records = list(definition.history.filter(revision__lte=definition.revision).order_by("revision", "history_id"))
    if not records:
        if definition.applied_revision:
            raise ValueError("it is empty; the next scheduler that starts writes what is missing")
        return  # a fixture has just brought it
    schedules = [_as_definition(record).schedule for record in records]
    starts = [record.scheduled_from for record in records]
    before = None
    for schedule, start, end in zip(schedules, starts, [*starts[1:], until], strict=True):
        if min(end, until) > max(start, since):
            yield Segment(schedule, max(start, since), min(end, until), before, start < since)
        if end > start:  # others have no slots: an edit of the title, or several edits at once
            before = schedule


def _as_definition(record: object) -> JobDefinition:
    names = [field.attname for field in JobDefinition._meta.concrete_fields if hasattr(record, field.attname)]
    return JobDefinition(**{name: getattr(record, name) for name in names})


def _audit_segment(definition: JobDefinition, segment: Segment, found: JobAudit) -> None:
    """Each row answers the `slots` fire times that end with its own."""
    answered_to, judges_surplus = segment.start, not segment.is_clipped
    for slot, slots in _answers(_scheduled(definition).filter(scheduled_for__gt=segment.start, scheduled_for__lte=segment.end)):
        if not _fires(segment.schedule, slot):
            if not _was_claimed_before_the_edit(segment, slot):
                found.exceed(slots, slot)
            continue
        expected = _count(segment.schedule, answered_to, slot)
        found.slots += expected
        if expected > slots:
            found.miss(expected - slots, segment.schedule.fire_times(answered_to, slot))
        elif slots > expected and judges_surplus:
            found.exceed(slots - expected, slot)
        answered_to, judges_surplus = slot, True
    left = _count(segment.schedule, answered_to, segment.end)
    found.slots += left
    if left:
        found.miss(left, segment.schedule.fire_times(answered_to, segment.end))


def _fires(schedule: Schedule, slot: datetime) -> bool:
    return schedule.next_fire_time(slot - datetime.resolution) == slot


def _was_claimed_before_the_edit(segment: Segment, slot: datetime) -> bool:
    """An edit is dated before it is committed: a slot of that moment is still answered by the schedule before it."""
    return segment.before is not None and slot - segment.start <= LONGEST_EDIT and _fires(segment.before, slot)


def _answers(rows: QuerySet[JobRun]) -> Iterator[tuple[datetime, int]]:
    """The answered slots in order, some thousand at a time.  Not by `iterator()`: its cursor would not outlive a statement behind a connection pooler."""
    ordered = rows.order_by("scheduled_for").values_list("scheduled_for", "slots")
    page = list(ordered[:PAGE])
    while page:
        yield from page
        page = list(ordered.filter(scheduled_for__gt=page[-1][0])[:PAGE])


def _count(schedule: Schedule, after: datetime, until: datetime) -> int:
    first = schedule.next_fire_time(after)
    return 0 if first is None or first > until else schedule.due(first, until).count
