"""What a claim returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.engine.run import ClaimedRun


@dataclass(slots=True)
class ClaimResult:
    """Runs to start, runs to buffer until their pool has room, and the pools that had no room for a due job."""

    start: list[ClaimedRun] = field(default_factory=list)
    buffer: list[ClaimedRun] = field(default_factory=list)
    pools_full: set[str] = field(default_factory=set)
    answered: int = 0
    """Rows that the claim has written."""
    more: bool = False
    """Whether the table may hold more due jobs that this process does not know."""
    needs_rows: bool = False
    """Whether a job that seemed due was not answered, so that its row has to be read."""

    def __add__(self, other: ClaimResult) -> ClaimResult:
        """The results of two claims of the same tick."""
        return ClaimResult(
            self.start + other.start,
            self.buffer + other.buffer,
            self.pools_full | other.pools_full,
            self.answered + other.answered,
            self.more or other.more,
            self.needs_rows or other.needs_rows,
        )
