"""When to ask the tables for work, and what they answered."""

from __future__ import annotations

import time
from datetime import datetime

from jobs.engine.due_queue import DueQueue
from jobs.engine.notifier import Notifier
from jobs.engine.statements import PendingWork, Statements

POLL_SECONDS = 0.2
"""The tables are polled at least this often where a notification may be lost."""

RELIABLE_POLL_SECONDS = 1.0
"""The same where every commit of another connection is noticed: only this process's own writes have to be found."""

DUE_ROWS_SECONDS = 1.0
"""Query the table at least this often even during a burst, so that unknown jobs are not starved."""


class Poller:
    """Polls when a change is noticed, when announced work has come due, and at least every POLL_SECONDS; `again` makes the next tick poll."""

    def __init__(self, statements: Statements, notifier: Notifier, due_queue: DueQueue, *, always: bool) -> None:
        self._statements = statements
        self._notifier = notifier
        self._due_queue = due_queue
        self._always = always
        self._poll_seconds = RELIABLE_POLL_SECONDS if notifier.is_reliable else POLL_SECONDS
        self.again = True
        self._next_poll = self._next_due_rows = 0.0
        self._unknown_due_at: datetime | None = None
        self.next_at: datetime | None = None
        """When work comes due that only the tables know of."""

    def poll(self, now: datetime, instance: str) -> PendingWork | None:
        """The pending work, or None when nothing can have changed since the last poll."""
        has_changes = self._notifier.has_changes()
        if not (has_changes or self.again or self._always or time.monotonic() >= self._next_poll or is_due(self.next_at, now)):
            return None
        self.again, self._next_poll = False, time.monotonic() + self._poll_seconds
        pending = self._statements.pending_work(instance)
        known = self._due_queue.earliest
        self._unknown_due_at = None if known is not None and pending.next_run_time is not None and known <= pending.next_run_time else pending.next_run_time
        self.next_at = min((at for at in (self._unknown_due_at, pending.next_request) if at is not None and at > now), default=None)
        return pending

    def must_claim_rows(self, pending: PendingWork, now: datetime) -> bool:
        """Whether a claim has to read the table: an unknown job is due, or may be and that was not checked for DUE_ROWS_SECONDS."""
        if not is_due(self._unknown_due_at, now) and not (is_due(pending.next_run_time, now) and time.monotonic() >= self._next_due_rows):
            return False
        self._next_due_rows = time.monotonic() + DUE_ROWS_SECONDS
        return True


def is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now
