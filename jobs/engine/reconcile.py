"""Reconcile: make the store follow the definitions, whichever way they were changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef

from jobs.engine.claims import insert_answers
from jobs.engine.plan import Plan
from jobs.engine.plans import Plans
from jobs.engine.statements import NewRun, for_connection, state_bytes
from jobs.models import Cause, JobDefinition, JobRun, ScheduledJob, Status
from jobs.models.readable import attempt, read_rows
from jobs.schedule.policy import Answer, decide
from jobs.schedule.schedule import UNSCHEDULABLE

log = structlog.get_logger()

AT_ONCE = 500
"""Definitions in one transaction."""


def reconcile(plans: Plans, instance: str, now: datetime) -> int:
    """Apply up to AT_ONCE definitions whose revision is not applied; returns how many there were."""
    with for_connection().transaction():
        definitions = _lock_unapplied(plans, now)
        locked = ScheduledJob.objects.select_for_update().filter(pk__in=[row.pk for row in definitions])
        entries = {row.pk: row for row in read_rows(locked).readable}  # one that cannot be read is made again
        applied = _applied_plans(plans, definitions, entries)
        answered = _last_answered([row.pk for row in definitions if row.pk not in applied], now)
        changes = []
        for row in definitions:
            change, problem = attempt(partial(_change_of, row, entries.get(row.pk), applied.get(row.pk), answered.get(row.pk), now))
            if change is None:
                plans.set_aside(row.pk, f"it cannot be scheduled: {problem}")
            else:
                changes.append(change)
        _write_unanswered(changes, now)
        _write_entries(changes)
        JobDefinition.objects.filter(pk__in=[change.definition.pk for change in changes]).update(applied_revision=F("revision"), applied_at=now, applied_by=instance)
    for change in changes:
        change.log_outcome()
        if change.definition.is_registered and not change.problem:
            plans.cache(change.plan, change.next_run_time)
    return len(definitions)


def restore_entries(now: datetime) -> int:
    """Mark definitions without an entry in the store, such as those of a fixture, as unapplied; returns how many."""
    _record_applied(now)
    entries = ScheduledJob.objects.filter(pk=OuterRef("pk"))
    lost = JobDefinition.objects.current().exclude(trigger="interval", interval_seconds=0).filter(~Exists(entries)).exclude(applied_revision=0)
    return lost.update(applied_revision=0)


def _record_applied(now: datetime) -> None:
    """Write the history of applied definitions that did not go through `save()`: no tick will look at them."""
    applied = JobDefinition.objects.filter(applied_revision=F("revision"))
    recorded = AT_ONCE
    while recorded == AT_ONCE:
        with transaction.atomic():
            recorded = applied.record_unrecorded(now, AT_ONCE)


def _lock_unapplied(plans: Plans, now: datetime) -> list[JobDefinition]:
    """Lock and return unapplied definitions, each with its revision in the history.  Those that cannot be read are set aside."""
    unapplied = JobDefinition.objects.unapplied().select_for_update(no_key=True, skip_locked=True).order_by("pk")
    rows = read_rows(unapplied[:AT_ONCE])
    locked = JobDefinition.objects.filter(pk__in=[row.pk for row in rows.readable])
    definitions = list(locked.order_by("pk")) if locked.record_unrecorded(now, AT_ONCE) else rows.readable
    unreadable = rows.unreadable | {row.pk: f"it cannot be scheduled: {problem}" for row in definitions if (problem := attempt(partial(_state_of, row))[1])}
    for job_id, problem in unreadable.items():
        plans.set_aside(job_id, problem)
    return [row for row in definitions if row.pk not in unreadable]


def _state_of(definition: JobDefinition) -> bytes:
    return Plan.of(definition).state


def _applied_plans(plans: Plans, definitions: Sequence[JobDefinition], entries: dict[str, ScheduledJob]) -> dict[str, Plan]:
    """The plans that the entries hold.  An entry whose definition has applied revision 0 is to be made again."""
    known = [entries[row.pk] for row in definitions if row.applied_revision and row.pk in entries]
    return plans.read([(entry.pk, None, state_bytes(entry.job_state)) for entry in known])


def _last_answered(job_ids: Sequence[str], now: datetime) -> dict[str, datetime]:
    """The latest answered slot of each job: a new entry must not answer slots up to it again; `now` where it cannot be read."""
    runs = JobRun.objects.filter(job__in=job_ids, cause=Cause.SCHEDULE).order_by()
    latest, _problem = attempt(lambda: dict(runs.values_list("job").annotate(latest=Max("scheduled_for"))))
    if latest is not None:
        return latest
    return {job_ids[0]: now} if len(job_ids) == 1 else {job_id: at for each in job_ids for job_id, at in _last_answered([each], now).items()}


@dataclass(frozen=True, slots=True)
class EntryChange:
    """How the store's entry of one definition changes."""

    definition: JobDefinition
    had_entry: bool
    plan: Plan
    next_run_time: datetime | None
    unanswered: Sequence[Answer] = ()
    """Answers that earlier schedules still owe."""
    problem: str = ""

    def log_outcome(self) -> None:
        job, revision = self.definition.pk, self.definition.revision
        if self.problem:
            log.error("job_applied", job=job, revision=revision, problem=self.problem)
        elif self.definition.is_registered:
            log.info("job_applied", job=job, revision=revision, next_run_time=self.next_run_time.isoformat() if self.next_run_time else None)
        elif self.had_entry:
            log.info("job_removed", job=job, revision=revision)


def _change_of(definition: JobDefinition, entry: ScheduledJob | None, before: Plan | None, answered: datetime | None, now: datetime) -> EntryChange:
    """The change from `before`, the plan that the entry holds, to the definition's own plan."""
    plan = Plan.of(definition)
    next_run_time = entry.next_run_time if entry is not None else None
    if before is not None and before.schedule == plan.schedule:
        return EntryChange(definition, had_entry=True, plan=plan, next_run_time=next_run_time)
    last = None if before is not None else max(filter(None, (answered, definition.pruned_until)), default=None)
    unanswered = _unanswered_slots(_earlier_plans(definition, before), plan, before, next_run_time, last, now)
    try:
        return EntryChange(definition, entry is not None, plan, _first_slot(plan, last), unanswered)
    except UNSCHEDULABLE as error:
        return EntryChange(definition, entry is not None, plan, None, unanswered, problem=f"{type(error).__name__}: {error}")


def _first_slot(plan: Plan, answered: datetime | None) -> datetime | None:
    """The first slot after the plan was made and after the last answered slot."""
    return plan.schedule.next_fire_time(max(plan.scheduled_from, answered or plan.scheduled_from))


def _earlier_plans(definition: JobDefinition, before: Plan | None) -> list[Plan]:
    """The applied plan, and the plans of later edits that no scheduler has applied, oldest first."""
    plans, applied = ([before], definition.applied_revision) if before is not None else ([], 0)
    if definition.revision > applied + 1:
        records = definition.history.filter(revision__gt=applied, revision__lt=definition.revision)
        for record in records.order_by("revision", "history_id"):
            plan = Plan.of(record.instance)
            if not plans or plan.schedule != plans[-1].schedule:
                plans.append(plan)
    return plans


def _unanswered_slots(
    plans: Sequence[Plan], following: Plan, before: Plan | None, next_run_time: datetime | None, answered: datetime | None, now: datetime
) -> list[Answer]:
    """A slot belongs to the definition as it stood when the slot passed: the slots of earlier plans get their answers first."""
    answers: list[Answer] = []
    ends = [plan.scheduled_from for plan in [*plans, following]][1:]
    for plan, end in zip(plans, ends, strict=True):
        try:
            first = next_run_time if plan is before else _first_slot(plan, answered)
            # The edit may be dated some milliseconds after our own clock; the old schedule's slots up to it are due all the same.
            if first is not None and first <= end:
                answers += decide(plan.schedule, plan.policy, plan.schedule.due(first, end), now, occupied=0)
        except UNSCHEDULABLE:
            continue  # a schedule that cannot be followed has no slots
    return answers


def _write_unanswered(changes: Sequence[EntryChange], now: datetime) -> None:
    """Write the answers of earlier schedules; runs are queued for any scheduler to claim."""
    rows = [
        NewRun(change.definition.pk, answer.slot, answer.slots, Status.QUEUED if answer.status == Status.RUNNING else answer.status, answer.reason, "")
        for change in changes
        for answer in change.unanswered
    ]
    if rows:
        insert_answers(rows, now)


def _write_entries(changes: Sequence[EntryChange]) -> None:
    gone = [change.definition.pk for change in changes if not change.definition.is_registered]
    if gone:
        ScheduledJob.objects.filter(pk__in=gone)._raw_delete(ScheduledJob.objects.db)
    ScheduledJob.objects.bulk_create(
        [
            ScheduledJob(job_id=change.definition.pk, next_run_time=change.next_run_time, job_state=change.plan.state)
            for change in changes
            if change.definition.is_registered
        ],
        update_conflicts=True,
        unique_fields=["job"],
        update_fields=["next_run_time", "job_state"],
    )
