"""When to ask the rows what there is to do, and what they said."""

from __future__ import annotations

import time
from datetime import datetime

from jobs.engine.due_queue import Agenda
from jobs.engine.notifier import Changes
from jobs.engine.statements import Peek, Statements

LOOK_SECONDS = 0.2
"""The rows are asked so often even when nobody has told of a change."""

SURE_SECONDS = 1.0
"""The same where every change is told of: only what this process has written itself may have to be found."""

DUE_ROWS_SECONDS = 1.0
"""However much a scheduler knows to be due, it asks so often what else is: that need not wait for the end of a burst."""


class Lookout:
    """Asks when something has changed, when what it was told has come due, and every so often; `again` makes it ask at the next tick."""

    def __init__(self, statements: Statements, changes: Changes, agenda: Agenda, *, always: bool) -> None:
        self._statements = statements
        self._changes = changes
        self._agenda = agenda
        self._always = always
        self._look_seconds = SURE_SECONDS if changes.tells_all else LOOK_SECONDS
        self.again = True
        self._next_look = self._next_due_rows = 0.0
        self._unknown: datetime | None = None
        self.next_moment: datetime | None = None
        """When something will come due that only the rows know of."""

    def look(self, now: datetime, instance: str) -> Peek | None:
        """What there is to do, or None when that was asked a moment ago and nothing can have changed since."""
        noticed = self._changes.noticed()
        if not (noticed or self.again or self._always or time.monotonic() >= self._next_look or is_due(self.next_moment, now)):
            return None
        self.again, self._next_look = False, time.monotonic() + self._look_seconds
        peek = self._statements.peek(instance)
        known = self._agenda.earliest
        self._unknown = None if known is not None and peek.next_run_time is not None and known <= peek.next_run_time else peek.next_run_time
        self.next_moment = min((moment for moment in (self._unknown, peek.next_request) if moment is not None and moment > now), default=None)
        return peek

    def is_unknown_due(self, peek: Peek, now: datetime) -> bool:
        """Whether a claim has to ask the rows what is due: surely, or because that has not been done for a second."""
        if not is_due(self._unknown, now) and not (is_due(peek.next_run_time, now) and time.monotonic() >= self._next_due_rows):
            return False
        self._next_due_rows = time.monotonic() + DUE_ROWS_SECONDS
        return True


def is_due(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
