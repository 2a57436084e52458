"""The engine, compared with a small model: each slot has exactly one answer after any sequence of events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django_apscheduler.models import DjangoJob
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from jobs.engine.reaper import settle_runs_of
from jobs.engine.run import ClaimedRun
from jobs.maintenance.audit import NAMED_AT_MOST, JobAudit, audit_job
from jobs.models import FOREVER, JobDefinition, JobRun, Status
from jobs.schedule.triggers import TICK
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, answers, at, define, seconds

pytestmark = pytest.mark.django_db

JOBS: dict[str, dict[str, Any]] = {
    "coalesced": {"interval_seconds": 60, "misfire_grace_seconds": None, "retry_abandoned": True},
    "each": {"interval_seconds": 45, "misfire_grace_seconds": None, "coalesce": False, "max_instances": 2},
    "strict": {"interval_seconds": 30, "misfire_grace_seconds": 20, "max_retries": 2},
}
jobs = st.sampled_from(sorted(JOBS))
schedulers = st.sampled_from([0, 1])
edits = st.one_of(
    st.fixed_dictionaries({"interval_seconds": st.sampled_from([0, 7, 30, 45, 60, 100, 3600])}),
    st.fixed_dictionaries({"paused_until": st.sampled_from([None, None, FOREVER]) | st.integers(1, 1000).map(seconds)}),
    st.fixed_dictionaries({"enabled": st.sampled_from([True, True, False])}),
    st.fixed_dictionaries({"archived_at": st.sampled_from([None, None, START])}),
    st.fixed_dictionaries({"title": st.sampled_from(["one", "another"])}),
)


@dataclass
class Epoch:
    """A period in which a job's schedule stayed the same, for slots later than `since`."""

    since: datetime
    interval: int
    enabled: bool = True
    paused_until: datetime = START
    archived: bool = False

    def count(self, after: datetime, until: datetime) -> int:
        """The number of slots in (`after`, `until`] that must have an answer."""
        after = max(after, self.since, self.paused_until - TICK)
        if not self.enabled or self.archived or not self.interval or until <= after:
            return 0
        step = seconds(self.interval)
        return (until - START) // step - (after - START) // step


class Engine(RuleBasedStateMachine):
    """Two schedulers on one database, staff who edit, and a clock that jumps."""

    @initialize()
    def begin(self) -> None:
        self.now, self.set_back = START, timedelta()
        self.instances = 0
        self.schedulers: list[ManualScheduler | None] = [self._new_scheduler(), self._new_scheduler()]
        self.dead: list[str] = []
        self.running: dict[str, list[ClaimedRun]] = {}
        self.started: set[tuple[str, datetime, int]] = set()
        self.epochs: dict[str, list[Epoch]] = {}
        self.checked = dict.fromkeys(JOBS, (0, START))
        for job_id, fields in JOBS.items():
            define(job_id, **fields)
            self.epochs[job_id] = [Epoch(START, fields["interval_seconds"])]

    def _new_scheduler(self) -> ManualScheduler:
        self.instances += 1
        return ManualScheduler(f"instance-{self.instances}")

    # -- time -----------------------------------------------------------------------------------------

    @rule(hours=st.integers(1, 30))
    def clock_jumps_forward(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(by=st.integers(1, 4000))
    def clock_is_set_back(self, by: int) -> None:
        """Schedulers continue with their own clock; edits are dated with the new time."""
        self.set_back = min(seconds(by), self.now - START)

    # -- schedulers -------------------------------------------------------------------------------------

    @rule(number=schedulers, room=st.sampled_from([0, 1, 1000, 1000]), later=st.integers(0, 150))
    def tick(self, number: int, room: int, later: int) -> None:
        self.now += seconds(later)
        if scheduler := self.schedulers[number]:
            for _ in range(2):  # the first tick may find a damaged entry, the second answers its slots
                scheduler.reconcile(self.now)
                self._start(scheduler, scheduler.claim(self.now, immediate=room).start)
                self._start(scheduler, scheduler.claim_requested(self.now, immediate=room).start)
            self._check(everything=room == 1000)

    @rule(later=st.integers(0, 150))
    def both_tick(self, later: int) -> None:
        """Hypothesis leaves out rules at random; without this rule many examples would have few ticks."""
        self.schedulers = [scheduler or self._new_scheduler() for scheduler in self.schedulers]
        self.tick(0, 1000, later)
        self.tick(1, 1000, 0)

    def _start(self, scheduler: ManualScheduler, runs: list[ClaimedRun]) -> None:
        for run in runs:
            attempt = (run.job_id, run.scheduled_for, run.attempt)
            assert attempt not in self.started, f"{attempt} was started twice"
            self.started.add(attempt)
            self.running.setdefault(scheduler.instance, []).append(run)

    @rule(number=schedulers, claiming=st.booleans())
    def crash(self, number: int, claiming: bool) -> None:
        """The process dies, perhaps before its claim has committed."""
        if scheduler := self.schedulers[number]:
            with transaction.atomic():
                if claiming:
                    scheduler.reconcile(self.now)
                    scheduler.claim(self.now)
                transaction.set_rollback(True)
            self.dead.append(scheduler.instance)
            self.running.pop(scheduler.instance, None)
            self.schedulers[number] = None

    @rule(number=schedulers)
    def restart(self, number: int) -> None:
        self.schedulers[number] = self.schedulers[number] or self._new_scheduler()

    @precondition(lambda self: self.dead)
    @rule()
    def reap(self) -> None:
        settle_runs_of(self.dead, self.now)
        assert not JobRun.objects.active().filter(instance__in=self.dead).exists()
        self.dead.clear()

    @rule(number=schedulers, status=st.sampled_from([Status.SUCCEEDED, Status.FAILED]))
    def runs_end(self, number: int, status: Status) -> None:
        scheduler = self.schedulers[number]
        if scheduler is not None and (runs := self.running.pop(scheduler.instance, [])):
            assert scheduler.finish(runs, self.now, status) == {run.id for run in runs}

    # -- staff -------------------------------------------------------------------------------------------

    def _edit(self, job_id: str, **changes: Any) -> None:
        # The wall clock may be set back to a time before answered slots and before the last edit.
        wall = self.now - self.set_back
        latest = answers(job_id)[-1:]
        with at(wall):
            JobDefinition.objects.get(pk=job_id).edit(STAFF, **changes)
        last = self.epochs[job_id][-1]
        since = max([wall, last.since, *(slot for slot, _status, _slots in latest)])
        epoch = Epoch(
            since,
            changes.get("interval_seconds", last.interval),
            changes.get("enabled", last.enabled),
            changes.get("paused_until", last.paused_until) or START,
            changes["archived_at"] is not None if "archived_at" in changes else last.archived,
        )
        if epoch != Epoch(since, last.interval, last.enabled, last.paused_until, last.archived):
            self.epochs[job_id].append(epoch)

    @rule(job_id=jobs, changes=st.lists(edits, min_size=1, max_size=3), between=st.integers(-200, 200))
    def staff_edit(self, job_id: str, changes: list[dict[str, Any]], between: int) -> None:
        """One edit or several, of which no scheduler applies those before the last; the clock may be set back between them."""
        for change in changes:
            pause = change.get("paused_until")
            self._edit(job_id, **change | ({"paused_until": self.now - self.set_back + pause} if isinstance(pause, timedelta) else {}))
            self.now += seconds(max(between, 0))
            self.set_back = min(self.set_back + seconds(max(-between, 0)), self.now - START)

    @rule(job_id=jobs)
    def run_now(self, job_id: str) -> None:
        with at(self.now - self.set_back):
            JobRun.objects.request(job_id, "ada")

    @rule(job_id=jobs)
    def the_entry_is_damaged(self, job_id: str) -> None:
        """The state in the store cannot be read."""
        DjangoJob.objects.filter(pk=job_id, next_run_time__lte=self.now).update(job_state=b"{}")

    def teardown(self) -> None:
        self.both_tick(0)
        self._check_audits_of_damage()

    # -- what must hold ------------------------------------------------------------------------------------

    def _expected(self, job_id: str, after: datetime, until: datetime) -> int:
        epochs = self.epochs[job_id]
        ends = [epoch.since for epoch in epochs[1:]] + [until]
        return sum(epoch.count(after, min(until, end)) for epoch, end in zip(epochs, ends, strict=True))

    def _check(self, everything: bool) -> None:
        """Each new row is a slot of its job and counts the slots since the row before; with `everything` no slot is unanswered."""
        for job_id in JOBS:
            number, last = self.checked[job_id]
            rows = answers(job_id)
            assert all(slot <= last for slot, _status, _slots in rows[:number]), f"{job_id} has a new answer for a slot before {last}"
            for slot, status, slots in rows[number:]:
                assert self._expected(job_id, slot - TICK, slot) == 1, f"{job_id} answered {slot} ({status}), which is not one of its slots"
                assert self._expected(job_id, last, slot) == slots, f"{job_id} counts {slots} slots from {last} to {slot} ({status})"
                last = slot
            self.checked[job_id] = (len(rows), last)
            assert not everything or self._expected(job_id, last, self.now) == 0, f"{job_id} has slots after {last} without an answer"
            for until in (self.now, self.now - self.set_back):  # the database's clock may be behind what was answered
                assert (found := self._audit(job_id, until)).is_silent, f"at {until} the audit says {found}"
        for definition in JobDefinition.objects.all():
            assert definition.runs.occupying().count() <= definition.max_instances

    def _audit(self, job_id: str, until: datetime) -> JobAudit:
        return audit_job(JobDefinition.objects.select_related("scheduled").get(pk=job_id), START - TICK, until)

    def _check_audits_of_damage(self) -> None:
        """A row too many, and then one too few, are named, and nothing else is."""
        for job_id, (slot, _status, slots) in ((job_id, rows[len(rows) // 2]) for job_id in JOBS if (rows := answers(job_id))):
            added = JobRun.objects.create(job_id=job_id, scheduled_for=slot + seconds(0.5), status="missed", queued_at=slot, finished_at=slot)
            found = self._audit(job_id, self.now)
            assert (found.surplus, found.unexpected, found.missing) == (1, [slot + seconds(0.5)], 0)
            added.delete()
            JobRun.objects.filter(job=job_id, cause="schedule", attempt=1, scheduled_for=slot).delete()
            found = self._audit(job_id, self.now)
            assert (found.surplus, found.missing, slot in found.unanswered or slots > NAMED_AT_MOST) == (0, slots, True)


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.chaos)])
def test_every_slot_has_exactly_one_answer_after_any_sequence_of_events(examples: int) -> None:
    class Isolated(Engine):
        """Rolls each example back."""

        def __init__(self) -> None:
            super().__init__()
            self.example = transaction.atomic()
            self.example.__enter__()

        def teardown(self) -> None:
            try:
                super().teardown()
            finally:
                transaction.set_rollback(True)
                self.example.__exit__(None, None, None)

    run_state_machine_as_test(
        Isolated,
        settings=settings(max_examples=examples, stateful_step_count=20, deadline=None, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck)),
    )
