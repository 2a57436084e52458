"""What this instance has seen of the others' heartbeats, and which of them may be taken for dead."""

from __future__ import annotations

import time
from collections.abc import Mapping

ON_TIME = 5.0
"""Seconds.  When two own heartbeats are further apart, what held this instance up may have held up the others: a locked database, a stopped machine."""

BEATS = 2
"""Another instance has to be silent during as many of one's own heartbeats."""


class Others:
    """The last heartbeat of each other instance, as text, and during how many own heartbeats it did not change."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str | None, int]] = {}
        self._looked_at = float("-inf")

    def note(self, heartbeats: Mapping[str, str | None]) -> set[str]:
        """Take note of them at an own heartbeat; returns the instances that were silent while the own heartbeats came on time.

        By a monotonic clock and by comparing: a clock that was set makes nobody silent.  None stands for an instance
        that has runs and no row.
        """
        at = time.monotonic()
        before = self._seen if at - self._looked_at <= ON_TIME else {}
        self._looked_at = at
        self._seen = {name: (text, before[name][1] + 1 if name in before and before[name][0] == text else 0) for name, text in heartbeats.items()}
        return {name for name, (_text, beats) in self._seen.items() if beats >= BEATS}
