"""What a claim brings."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.engine.execute import Run


@dataclass(slots=True)
class Claim:
    """What one claim brought: runs to start, runs to keep until there is room, and the lanes that had too little of it."""

    start: list[Run] = field(default_factory=list)
    keep: list[Run] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    answered: int = 0
    more: bool = False
    """Whether the rows may hold more that is due, of jobs that this process does not know."""
    doubtful: bool = False
    """Whether something that seemed to be due was not answered, so that the rows have to be asked."""

    def add(self, other: Claim) -> None:
        """Take in what another claim of the same moment brought."""
        self.start += other.start
        self.keep += other.keep
        self.left |= other.left
        self.answered += other.answered
        self.more |= other.more
        self.doubtful |= other.doubtful
