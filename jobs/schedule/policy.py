"""The policy for due slots: run, missed or skipped.  Pure: the caller counts runs, reads the clock and writes rows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.schedule.kinds import Status
from jobs.schedule.schedule import Due, Schedule

CATCH_UP_LIMIT = 100
"""Without coalescing, at most this many slots of a downtime still run."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The fields of a definition that decide about late and overlapping slots."""

    coalesce: bool = True
    max_instances: int = 1
    misfire_grace_seconds: int | None = 60

    def is_late(self, slot: datetime, judged_at: datetime) -> bool:
        return self.misfire_grace_seconds is not None and (judged_at - slot).total_seconds() > self.misfire_grace_seconds


@dataclass(slots=True)
class Answer:
    """The outcome of one slot, or of several that share a row.

    `status` is RUNNING (start it now), QUEUED (start it when there is room), MISSED or SKIPPED.
    """

    slot: datetime
    slots: int
    status: Status
    reason: str = ""


def decide(schedule: Schedule, policy: Policy, due: Due, judged_at: datetime, occupied: int, blocking_run_id: int | None = None) -> list[Answer]:
    """Answer all slots of `due`.

    `judged_at` is the time that decides about lateness.  `occupied` counts the runs of this job that are in progress on
    any scheduler, and `blocking_run_id` is the oldest of them.
    """
    if policy.coalesce or due.count == 1:
        return [_one_for_all(policy, due, judged_at, occupied, blocking_run_id)]
    return _one_by_one(schedule, policy, due, judged_at, occupied, blocking_run_id)


def _one_for_all(policy: Policy, due: Due, judged_at: datetime, occupied: int, blocking_run_id: int | None) -> Answer:
    if policy.is_late(due.last, judged_at):
        return _missed(policy, due.last, due.count, judged_at)
    if occupied >= policy.max_instances:
        return _skipped(due.last, due.count, blocking_run_id)
    reason = f"covers {due.count} scheduled times since {due.first.isoformat()}" if due.count > 1 else ""
    return Answer(due.last, due.count, Status.RUNNING, reason)


def _one_by_one(schedule: Schedule, policy: Policy, due: Due, judged_at: datetime, occupied: int, blocking_run_id: int | None) -> list[Answer]:
    if occupied >= policy.max_instances:
        return [_skipped(due.last, due.count, blocking_run_id)]
    recent = _latest(schedule, due)
    room = policy.max_instances - occupied
    answers: list[Answer] = []
    too_old = [slot for slot in recent if policy.is_late(slot, judged_at)] if due.count <= CATCH_UP_LIMIT else recent[:-CATCH_UP_LIMIT]
    kept = [slot for slot in recent if slot not in too_old]
    late = [slot for slot in kept if policy.is_late(slot, judged_at)]
    if lost := due.count - len(kept) + len(late):
        answers.append(_missed(policy, (late or too_old)[-1], lost, judged_at))
    for index, slot in enumerate(slot for slot in kept if slot not in late):
        answers.append(Answer(slot, 1, Status.RUNNING if index < room else Status.QUEUED))
    return answers


def _latest(schedule: Schedule, due: Due) -> list[datetime]:
    """The last fire times of `due`, one more than may still run."""
    window = timedelta(minutes=1)
    while True:
        start = max(due.first - timedelta(microseconds=1), due.last - window)
        recent = deque(schedule.fire_times(start, due.last), maxlen=CATCH_UP_LIMIT + 1)
        if len(recent) == min(due.count, CATCH_UP_LIMIT + 1) or start < due.first:
            return list(recent)
        window *= 4


def _missed(policy: Policy, slot: datetime, slots: int, judged_at: datetime) -> Answer:
    late = (judged_at - slot).total_seconds()
    if policy.is_late(slot, judged_at):
        return Answer(slot, slots, Status.MISSED, f"{late:.1f} s late, {policy.misfire_grace_seconds} s allowed")
    return Answer(slot, slots, Status.MISSED, f"only the last {CATCH_UP_LIMIT} scheduled times are caught up with")


def _skipped(slot: datetime, slots: int, blocking_run_id: int | None) -> Answer:
    return Answer(slot, slots, Status.SKIPPED, f"run {blocking_run_id} was still in progress")
