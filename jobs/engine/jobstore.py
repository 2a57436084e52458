"""The store: django-apscheduler's table, with JSON in it instead of pickles, and claims that only one process wins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from django_apscheduler.jobstores import DjangoJobStore
from django_apscheduler.models import DjangoJob

from jobs.engine.claim_result import Claim
from jobs.engine.due_queue import LATEST_SHARE, Agenda
from jobs.engine.execute import Run
from jobs.engine.plan import Plan
from jobs.engine.pools import Room
from jobs.engine.statements import Entry, Guess, NewRun, Statements, for_connection
from jobs.models import JobDefinition, JobRun, Status
from jobs.schedule.policy import Answer, decide
from jobs.schedule.schedule import UNSCHEDULABLE
from jobs.schedule.triggers import OnceTrigger, SlotTrigger

log = structlog.get_logger()

ALL_LANES_SECONDS = 0.2
"""Seconds between two looks at lanes that no known job goes on in: most claims ask only for what the others have room for."""
LEARNED = 20_000
"""The next so many jobs of the store are known from the start; a later one that nobody has claimed yet is found by asking the rows."""

UNCLAIMED = ""
"""The lane of jobs that this process has not claimed yet: it knows when, but not what."""

BORN_FINAL = {Status.MISSED.value: "job_run_missed", Status.SKIPPED.value: "job_run_skipped"}


class JobStore(DjangoJobStore):  # type: ignore[misc]  # django-apscheduler has no types
    """DjangoJobStore without pickles, without deletion on read, without a history of its own; with bulk claims."""

    def __init__(self) -> None:
        super().__init__()
        self._plans: dict[str, tuple[bytes, Plan]] = {}
        self.agenda = Agenda()
        self._statements: Statements = for_connection()
        self._lanes: set[str] = set()
        """Those that known jobs go on in."""
        self._next_all_lanes = 0.0
        self._served = 0

    # -- what APScheduler asks ----------------------------------------------------------------------

    def start(self, scheduler: Any, alias: str) -> None:
        """Start without the stock listeners: history goes to JobRun."""
        BaseJobStore.start(self, scheduler, alias)

    def shutdown(self) -> None:
        """Leave the caller's database connection open; it is not ours to close."""

    def lookup_job(self, job_id: str) -> Job | None:
        return next(iter(self._get_jobs(id=job_id)), None)

    def _get_jobs(self, **filters: Any) -> list[Job]:
        rows = DjangoJob.objects.filter(**filters).order_by("next_run_time").values_list("id", "next_run_time", "job_state")
        entries = [(job_id, moment, bytes(state)) for job_id, moment, state in rows]
        plans = self.plans(entries)
        return [self._as_job(job_id, moment, plans[job_id]) for job_id, moment, _state in entries if job_id in plans]

    def _as_job(self, job_id: str, moment: datetime | None, plan: Plan) -> Job:
        job = Job.__new__(Job)
        job._scheduler, job._jobstore_alias = self._scheduler, self._alias
        job.id, job.name, job.trigger, job.next_run_time = job_id, plan.call.title or job_id, _slots(plan), moment
        job.func, job.func_ref, job.args, job.kwargs = None, None, (), plan.call.kwargs
        job.executor, job.coalesce, job.max_instances = plan.lane, plan.policy.coalesce, plan.policy.max_instances
        job.misfire_grace_time = plan.policy.misfire_grace_seconds
        return job

    def add_job(self, job: Job) -> None:
        """Refused: a job comes into the store by its definition."""
        raise ConflictingIdError(job.id)

    def update_job(self, job: Job) -> None:
        """Refused for the same reason."""
        raise JobLookupError(job.id)

    def remove_job(self, job_id: str) -> None:
        if not DjangoJob.objects.filter(pk=job_id)._raw_delete(DjangoJob.objects.db):
            raise JobLookupError(job_id)

    # -- plans --------------------------------------------------------------------------------------

    def plans(self, entries: Sequence[tuple[str, Any, bytes]]) -> dict[str, Plan]:
        """The plans of store entries, by job; an entry that nobody can read is taken off the schedule."""
        stale = [(job_id, state) for job_id, _moment, state in entries if job_id not in self._plans or self._plans[job_id][0] != state]
        if stale:
            definitions = JobDefinition.objects.in_bulk([job_id for job_id, _state in stale])
            for job_id, state in stale:
                self._remember(job_id, state, definitions.get(job_id))
        return {job_id: self._plans[job_id][1] for job_id, _moment, _state in entries if job_id in self._plans}

    def remember(self, plan: Plan, next_run_time: datetime | None) -> None:
        """Keep what has just been written to the store, so that the next claim need not read it."""
        self._keep(plan.state, plan)
        self.agenda.put(plan.lane, plan.call.pk, next_run_time)

    def learn(self) -> None:
        """Look up when the jobs of the store come due next."""
        entries = DjangoJob.objects.filter(next_run_time__isnull=False).order_by("next_run_time").values_list("id", "next_run_time")
        for job_id, moment in entries[:LEARNED]:
            if job_id not in self._plans:
                self.agenda.put(UNCLAIMED, job_id, moment)

    def _remember(self, job_id: str, state: bytes, definition: JobDefinition | None) -> None:
        self._plans.pop(job_id, None)
        if definition is None:
            self._set_aside(job_id, "no definition has this id")
            return
        try:
            self._keep(state, Plan.of(definition).applied_as(state))
        except UNSCHEDULABLE as error:
            self._set_aside(job_id, f"its state cannot be read: {error}")

    def _keep(self, state: bytes, plan: Plan) -> None:
        self._plans[plan.call.pk] = (state, plan)
        self._lanes.add(plan.lane)

    def _set_aside(self, job_id: str, problem: str) -> None:
        """Take the entry off the schedule, and have it made anew from its definition, if it has one."""
        log.warning("job_set_aside", job=job_id, problem=problem)
        self._plans.pop(job_id, None)
        self.agenda.put(UNCLAIMED, job_id, None)
        DjangoJob.objects.filter(pk=job_id).update(next_run_time=None)
        JobDefinition.objects.filter(pk=job_id).update(applied_revision=0)

    def jobs_of_lanes(self, lanes: set[str]) -> list[str]:
        """The known jobs whose runs go on in one of `lanes`."""
        return [job_id for job_id, (_state, plan) in self._plans.items() if plan.lane in lanes]

    def _is_time_for_all_lanes(self) -> bool:
        """Whether to look now for due jobs that are not known yet, in any lane; a few times a second."""
        if time.monotonic() < self._next_all_lanes:
            return False
        self._next_all_lanes = time.monotonic() + ALL_LANES_SECONDS
        return True

    # -- claims -------------------------------------------------------------------------------------

    def claim_known(self, now: datetime, instance: str, rooms: dict[str, Room], limit: int) -> Claim:
        """Answer what this process knows to be due, as far as each answer is one run that starts at once; the rest is for `claim`."""
        claim = Claim(doubtful=bool(self.agenda.take(UNCLAIMED, now, limit)))
        guesses: list[Guess] = []
        for lane, room in rooms.items():
            for moment, job_id in self.agenda.take(lane, now, min(room.now, limit - len(guesses))):
                if (guess := self._guess(job_id, moment, now, lane, room)) is not None:
                    guesses.append(guess)
                else:
                    claim.doubtful = True
            if self.agenda.is_due(lane):
                claim.left.add(lane)
        if guesses:
            self._start_guessed(guesses, now, instance, rooms, claim)
        return claim

    def _guess(self, job_id: str, moment: datetime, now: datetime, lane: str, room: Room) -> Guess | None:
        state, plan = self._plans.get(job_id, (b"", None))
        if plan is None or plan.lane != lane:
            return None
        try:
            due = plan.schedule.due(moment, now)
            [answer, *more] = decide(plan.schedule, plan.policy, due, room.judged_at, occupied=0)
        except UNSCHEDULABLE:
            return None
        if more or answer.status != Status.RUNNING:
            return None
        return Guess(job_id, moment, state, answer.slot, answer.slots, answer.reason, due.following)

    def _start_guessed(self, guesses: Sequence[Guess], now: datetime, instance: str, rooms: dict[str, Room], claim: Claim) -> None:
        try:
            run_ids = self._statements.claim(guesses, now, instance)
        except BaseException:
            for guess in guesses:  # as due as they were, and known to the next tick
                self.agenda.put(self._plans[guess.job_id][1].lane, guess.job_id, guess.moment)
            raise
        for guess in guesses:
            if (run_id := run_ids.get(guess.job_id)) is None:
                claim.doubtful = True
                continue
            plan = self._plans[guess.job_id][1]
            self.agenda.put(plan.lane, guess.job_id, guess.following)
            rooms[plan.lane].now -= 1
            claim.start.append(Run.of(plan.call, run_id, guess.slot, lane=plan.lane, claimed_at=now))
        claim.answered = len(claim.start)

    def claim(self, now: datetime, instance: str, rooms: dict[str, Room], limit: int) -> Claim:
        """Ask the rows what is due, and answer every slot that there is room for, in one transaction.

        Two schedulers never answer the same slot: each takes the rows that it can lock.
        """
        full = {lane for lane, room in rooms.items() if room.total <= 0}
        looked_at = rooms.keys() if self._is_time_for_all_lanes() or not self._lanes else self._lanes
        claim = Claim()
        if looked_at <= full:
            claim.left = full
            return claim
        room = sum(rooms[lane].total for lane in looked_at - full)
        with self._statements.transaction():
            asked = min(limit, room)
            due = self._statements.lock_due(now, asked, max(asked // LATEST_SHARE, 1), self.jobs_of_lanes(full) if full else ())
            entries = self._in_turn(*due)
            claim.more = len(entries) >= asked and any(job_id not in self._plans for job_id, _moment, _state in entries)
            if entries:
                self._answer(entries, self.plans(entries), now, instance, rooms, claim)
        claim.left |= full
        return claim

    def _in_turn(self, longest: list[Entry], latest: list[Entry]) -> list[Entry]:
        """One of the latest after every few of the longest due, counted over claims, because there may be room for a single run at a time."""
        entries = longest.copy()
        first = LATEST_SHARE - 1 - self._served % LATEST_SHARE
        for number, entry in enumerate(latest):
            entries.insert(first + number * LATEST_SHARE, entry)
        return entries

    def _answer(self, entries: Sequence[Entry], plans: dict[str, Plan], now: datetime, instance: str, rooms: dict[str, Room], claim: Claim) -> None:
        occupied = self._statements.occupied([job_id for job_id, _moment, _state in entries])
        rows: list[NewRun] = []
        moves: list[tuple[str, datetime | None]] = []
        for job_id, moment, _state in entries:
            if (plan := plans.get(job_id)) is None:
                continue
            room = rooms[plan.lane]
            if room.total <= 0:
                claim.left.add(plan.lane)
                continue
            try:
                due = plan.schedule.due(moment, now)
                answers = decide(plan.schedule, plan.policy, due, room.judged_at, *occupied.get(job_id, (0, None)))
            except UNSCHEDULABLE as error:
                self._set_aside(job_id, f"its schedule cannot be followed: {type(error).__name__}: {error}")
                continue
            moves.append((job_id, due.following))
            rows += [_row(job_id, answer, room, instance) for answer in answers]
        if rows:
            ids = insert_answers(rows, now)
            self._sort(rows, ids, plans, now, claim)
        if moves:
            self._statements.advance(moves)
            self._served += len(moves)
        for job_id, following in moves:
            self.agenda.put(plans[job_id].lane, job_id, following)
        claim.answered = len(rows)

    @staticmethod
    def _sort(rows: list[NewRun], ids: list[int | None], plans: dict[str, Plan], now: datetime, claim: Claim) -> None:
        for row, run_id in zip(rows, ids, strict=True):
            if run_id is None or not row.instance or row.status not in {Status.RUNNING, Status.QUEUED}:
                if run_id is not None and (event := BORN_FINAL.get(row.status)):
                    log.info(event, job=row.job_id, run_id=run_id, slot=row.slot.isoformat(), slots=row.slots, reason=row.reason)
                continue
            plan = plans[row.job_id]
            run = Run.of(plan.call, run_id, row.slot, lane=plan.lane, claimed_at=now)
            (claim.start if row.status == Status.RUNNING else claim.keep).append(run)


def insert_answers(rows: Sequence[NewRun], now: datetime) -> list[int | None]:
    """Insert the rows; returns their ids, None for a slot that has its answer already.

    A request at the very microsecond of a slot is no answer to it, and makes way.
    """
    ids = for_connection().insert_runs(rows, now)
    for index, row in enumerate(rows):
        if ids[index] is None and JobRun.objects.make_way(row.job_id, row.slot):
            [ids[index]] = for_connection().insert_runs([row], now)
    return ids


def _slots(plan: Plan) -> SlotTrigger:
    try:
        return plan.schedule.slots
    except UNSCHEDULABLE:  # damaged by hand: it never fires, and its definition says why
        return OnceTrigger(None)


def _row(job_id: str, answer: Answer, room: Room, instance: str) -> NewRun:
    status, owner = answer.status, instance
    if status == Status.QUEUED:
        owner = ""
    elif status == Status.RUNNING:
        if room.now > 0:
            room.now -= 1
        else:
            room.soon -= 1
            status = Status.QUEUED
    return NewRun(job_id, answer.slot, answer.slots, status.value, answer.reason, owner)
