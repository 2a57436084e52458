"""The execution log: a file outside of any database, into which the sample job functions write when they start and end.

Each event is one line, appended with a single write, so that any number of processes can share the file.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jobs.registry import current_run

VARIABLE = "SAMPLE_EXECUTION_LOG"


@dataclass(frozen=True, slots=True)
class Entry:
    event: str
    job: str
    slot: datetime
    run: int
    attempt: int
    pid: int
    at: float

    @property
    def key(self) -> tuple[str, datetime, int]:
        """Identifies an attempt, which may be executed only once."""
        return (self.job, self.slot, self.attempt)


def note(event: str) -> None:
    """Append `event` of the current run to the execution log."""
    run = current_run()
    line = json.dumps([event, run.job_id, run.scheduled_for.isoformat(), run.id, run.attempt, os.getpid(), time.time()]) + "\n"
    fd = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


def read(path: Path, event: str | None = None, job: str | None = None) -> list[Entry]:
    """The entries so far, in the order in which they were written."""
    if not path.exists():
        return []
    entries = [_entry(*json.loads(line)) for line in path.read_text().splitlines()]
    return [entry for entry in entries if event in {None, entry.event} and job in {None, entry.job}]


def _entry(event: str, job: str, slot: str, run: int, attempt: int, pid: int, at: float) -> Entry:
    return Entry(event, job, datetime.fromisoformat(slot), run, attempt, pid, at)
