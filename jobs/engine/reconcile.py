"""Reconcile: make the store follow the definitions, whoever changed them and however."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef
from django_apscheduler.models import DjangoJob

from jobs.engine.jobstore import JobStore, insert_answers
from jobs.engine.plan import Plan
from jobs.engine.statements import NewRun, for_connection
from jobs.models import Cause, JobDefinition, JobRun, Status
from jobs.schedule.policy import Answer, decide
from jobs.schedule.schedule import UNSCHEDULABLE

log = structlog.get_logger()

AT_ONCE = 500


def reconcile(store: JobStore, instance: str, now: datetime) -> int:
    """Apply definitions whose revision has moved on, some hundred at a time; returns how many there were."""
    with for_connection().transaction():
        definitions = _unapplied(now)
        entries = {row.pk: row for row in DjangoJob.objects.select_for_update().filter(pk__in=[row.pk for row in definitions])}
        plans = _applied(store, definitions, entries)
        answered = _answered([row.pk for row in definitions if row.pk not in plans])
        moves = [_Move(definition, entries.get(definition.pk), plans.get(definition.pk), answered.get(definition.pk), now) for definition in definitions]
        _settle([move for move in moves if move.owed], now)
        _write(moves)
        JobDefinition.objects.filter(pk__in=[row.pk for row in definitions]).update(applied_revision=F("revision"), applied_at=now, applied_by=instance)
    for move in moves:
        move.say()
        if move.definition.is_registered and not move.problem:
            store.remember(move.plan, move.next_run_time)
    return len(moves)


def _unapplied(now: datetime) -> list[JobDefinition]:
    """Lock and return some; those that came past `save()` get their history first."""
    unapplied = JobDefinition.objects.unapplied().select_for_update(no_key=True, skip_locked=True).order_by("pk")
    definitions = list(unapplied[:AT_ONCE])
    ours = JobDefinition.objects.filter(pk__in=[row.pk for row in definitions])
    if ours.record_unrecorded(now, AT_ONCE):
        definitions = list(ours.order_by("pk"))
    return definitions


def restore_entries(now: datetime) -> int:
    """Mark definitions that have no entry in the store, such as those of a fixture, so that the next tick makes it."""
    _record_applied(now)
    entries = DjangoJob.objects.filter(pk=OuterRef("pk"))
    lost = JobDefinition.objects.current().exclude(trigger="interval", interval_seconds=0).filter(~Exists(entries)).exclude(applied_revision=0)
    return lost.update(applied_revision=0)


def _record_applied(now: datetime) -> None:
    """Write the history of applied definitions that came past `save()`: no tick will look at them."""
    applied = JobDefinition.objects.filter(applied_revision=F("revision"))
    recorded = AT_ONCE
    while recorded == AT_ONCE:
        with transaction.atomic():
            recorded = applied.record_unrecorded(now, AT_ONCE)


def _applied(store: JobStore, definitions: Sequence[JobDefinition], entries: dict[str, DjangoJob]) -> dict[str, Plan]:
    """What the entries say now, of definitions that were applied before; 0 asks for an entry to be made anew."""
    known = [entries[row.pk] for row in definitions if row.applied_revision and row.pk in entries]
    return store.plans([(entry.pk, None, bytes(entry.job_state)) for entry in known])


def _answered(job_ids: Sequence[str]) -> dict[str, datetime]:
    """The latest slot that has its answer, of jobs without an entry: those up to it must not be answered again."""
    runs = JobRun.objects.filter(job__in=job_ids, cause=Cause.SCHEDULE).order_by()
    return dict(runs.values_list("job").annotate(latest=Max("scheduled_for")))


class _Move:
    """How one definition's entry in the store has to change; `before` is what the entry says now."""

    def __init__(self, definition: JobDefinition, entry: DjangoJob | None, before: Plan | None, answered: datetime | None, now: datetime) -> None:
        self.definition = definition
        self.entry = entry
        self.plan = Plan.of(definition)
        self.next_run_time: datetime | None = entry.next_run_time if entry is not None else None
        self.problem = ""
        self.owed: list[Answer] = []
        self._answered = None if before is not None else max(filter(None, (answered, definition.pruned_until)), default=None)
        if before is not None and before.schedule == self.plan.schedule:
            return
        self.owed = self._owed(before, now)
        try:
            self.next_run_time = self._first_of(self.plan)
        except UNSCHEDULABLE as error:
            self.next_run_time, self.problem = None, f"{type(error).__name__}: {error}"

    def _first_of(self, plan: Plan) -> datetime | None:
        """The first slot of a plan from the time on that it was made, without those that have their answers."""
        since = plan.scheduled_from
        return plan.schedule.next_fire_time(max(since, self._answered or since))

    def _owed(self, before: Plan | None, now: datetime) -> list[Answer]:
        """A slot belongs to the definition as it stood when the slot passed: those of earlier schedules get their answers first."""
        answers: list[Answer] = []
        plans = self._earlier(before)
        ends = [plan.scheduled_from for plan in [*plans, self.plan]][1:]
        for plan, end in zip(plans, ends, strict=True):
            try:
                first = self.next_run_time if plan is before else self._first_of(plan)
                # An edit may be dated some milliseconds after our own clock; the old schedule's slots up to it are due all the same.
                if first is not None and first <= end:
                    answers += decide(plan.schedule, plan.policy, plan.schedule.due(first, end), now, occupied=0)
            except UNSCHEDULABLE:
                continue  # a schedule that nobody could follow owes nothing
        return answers

    def _earlier(self, before: Plan | None) -> list[Plan]:
        """The applied schedule, and those of edits that were overtaken before anybody applied them."""
        plans, applied = ([before], self.definition.applied_revision) if before is not None else ([], 0)
        if self.definition.revision > applied + 1:
            records = self.definition.history.filter(revision__gt=applied, revision__lt=self.definition.revision)
            for record in records.order_by("revision", "history_id"):
                plan = Plan.of(record.instance)
                if not plans or plan.schedule != plans[-1].schedule:
                    plans.append(plan)
        return plans

    def say(self) -> None:
        if self.problem:
            log.error("job_applied", job=self.definition.pk, revision=self.definition.revision, problem=self.problem)
        elif self.definition.is_registered:
            next_run = self.next_run_time.isoformat() if self.next_run_time else None
            log.info("job_applied", job=self.definition.pk, revision=self.definition.revision, next_run_time=next_run)
        elif self.entry is not None:
            log.info("job_removed", job=self.definition.pk, revision=self.definition.revision)


def _settle(moves: Sequence[_Move], now: datetime) -> None:
    """Write the answers that old schedules still owe; what is to run is queued for any scheduler to claim."""
    rows = [
        NewRun(move.definition.pk, answer.slot, answer.slots, Status.QUEUED if answer.status == Status.RUNNING else answer.status, answer.reason, "")
        for move in moves
        for answer in move.owed
    ]
    if rows:
        insert_answers(rows, now)


def _write(moves: Sequence[_Move]) -> None:
    gone = [move.definition.pk for move in moves if not move.definition.is_registered]
    if gone:
        DjangoJob.objects.filter(pk__in=gone)._raw_delete(DjangoJob.objects.db)
    DjangoJob.objects.bulk_create(
        [DjangoJob(id=move.definition.pk, next_run_time=move.next_run_time, job_state=move.plan.state) for move in moves if move.definition.is_registered],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["next_run_time", "job_state"],
    )
