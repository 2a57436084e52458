"""When jobs come due, as far as this process has seen: a heap in front of the rows.

It is only ever a guess: a claim compares it with the rows, and what it does not know is found by asking them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from heapq import heappop, heappush

LATEST_SHARE = 4
"""When more is due than there is room for, one of so many is a job that has just come due: it need not wait for the end of a burst."""

OUTDATED = 1000
"""A lane keeps about so many appointments that edits have put off, until their moments come."""

Appointment = tuple[datetime, str]
"""When a job comes due, and its id."""


class Agenda:
    """The appointments of each lane."""

    def __init__(self) -> None:
        self._current: dict[str, Appointment] = {}
        self._lanes: dict[str, _Lane] = {}

    def put(self, lane: str, job_id: str, moment: datetime | None) -> None:
        """Make a job's only appointment, or none."""
        if moment is None:
            self._current.pop(job_id, None)
            return
        appointment = self._current[job_id] = (moment, job_id)
        if lane not in self._lanes:
            self._lanes[lane] = _Lane(self._current)
        self._lanes[lane].put(appointment)

    def take(self, lane: str, now: datetime, count: int) -> list[Appointment]:
        """Take out up to `count` appointments of a lane that are due."""
        return self._lanes[lane].take(now, count) if lane in self._lanes else []

    def is_due(self, lane: str) -> bool:
        """Whether the last look left any that were due."""
        return lane in self._lanes and bool(self._lanes[lane].due)

    @property
    def earliest(self) -> datetime | None:
        """The first moment of all."""
        return min((appointments[0][0] for lane in self._lanes.values() for appointments in lane.swept if appointments), default=None)

    @property
    def next_moment(self) -> datetime | None:
        """The first moment of which no `take` has been told yet."""
        return min((lane.swept[1][0][0] for lane in self._lanes.values() if lane.swept[1]), default=None)


class _Lane:
    """A heap of what lies ahead, and in the order of their moments those that are due; both keep what is not current until its turn."""

    def __init__(self, current: dict[str, Appointment]) -> None:
        self._current = current
        self.ahead: list[Appointment] = []
        self.due: deque[Appointment] = deque()
        self._served = 0

    def put(self, appointment: Appointment) -> None:
        heappush(self.ahead, appointment)
        if len(self.ahead) > 2 * len(self._current) + OUTDATED:
            self.ahead = sorted(filter(self._is_current, self.ahead))

    def _is_current(self, appointment: Appointment) -> bool:
        return self._current.get(appointment[1]) is appointment

    def take(self, now: datetime, count: int) -> list[Appointment]:
        while self.ahead and self.ahead[0][0] <= now:
            appointment = heappop(self.ahead)
            if self._is_current(appointment):
                self.due.append(appointment)
        taken: list[Appointment] = []
        while self.due and len(taken) < count:
            self._served += 1
            appointment = self.due.popleft() if self._served % LATEST_SHARE else self.due.pop()
            if self._is_current(appointment):
                del self._current[appointment[1]]
                taken.append(appointment)
        return taken

    @property
    def swept(self) -> tuple[Sequence[Appointment], Sequence[Appointment]]:
        """What is due and what lies ahead, each with a current one in front."""
        while self.due and not self._is_current(self.due[0]):
            self.due.popleft()
        while self.ahead and not self._is_current(self.ahead[0]):
            heappop(self.ahead)
        return self.due, self.ahead
