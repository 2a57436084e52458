"""Pages of runs by key: the next page starts after the last run of this one, so runs that arrive meanwhile shift nothing.

The runs of one job are ordered by slot and attempt, those of all jobs by id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from jobs.models.run import JobRun


@dataclass(frozen=True, slots=True)
class RunPage:
    runs: list[JobRun]
    has_older: bool


def take_page(runs: QuerySet[JobRun, Any], size: int) -> RunPage:
    """The first `size` runs, by a query for one more instead of a count."""
    rows = list(runs[: size + 1])
    return RunPage(rows[:size], len(rows) > size)


def older_than_id(run_id: int) -> Q:
    return Q(pk__lt=run_id)


def older_than_slot(scheduled_for: datetime, attempt: int) -> Q:
    # The second comparison implies the first, which is there because an index serves it.
    return Q(scheduled_for__lte=scheduled_for) & (Q(scheduled_for__lt=scheduled_for) | Q(attempt__lt=attempt))
