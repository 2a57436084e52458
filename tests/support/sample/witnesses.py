"""Jobs of one second that show whether others disturb them."""

from __future__ import annotations

from jobs.models import JobDefinition
from tests.support.sample.schedulers import Schedulers

LATE = 1.0
"""Seconds."""


def make_witnesses(count: int) -> None:
    JobDefinition.objects.bulk_create([JobDefinition(id=f"witness_{number:02}", function="sample_work", interval_seconds=1) for number in range(count)])


def late_starts(schedulers: Schedulers, since: float) -> list[str]:
    """The witnesses' starts after `since` (seconds since 1970) that came later than LATE after their slots."""
    entries = [entry for entry in schedulers.execution_log("start") if entry.job.startswith("witness") and entry.at > since]
    assert entries
    return [f"{entry.job} {entry.at - entry.slot.timestamp():.2f} s late" for entry in entries if entry.at - entry.slot.timestamp() > LATE]
