"""Recompute every slot from the definitions alone, and compare the rows with the execution log.

This module imports nothing from the engine, so that a mistake in its arithmetic cannot hide itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from jobs.models import JobDefinition, JobRun
from tests.support.sample.execution_log import Entry

RAN = {"running", "succeeded", "failed", "timed_out", "cancelled", "abandoned"}


def unexplained(definition: JobDefinition, rows: Sequence[JobRun], until: datetime) -> list[str]:
    """Slots of an interval job, from its creation up to `until`, that have no row or more than one."""
    interval = timedelta(seconds=definition.interval_seconds)
    answers: Counter[int] = Counter()
    complaints = []
    for row in rows:
        if row.cause != "schedule" or row.attempt != 1:
            continue
        last, rest = divmod(row.scheduled_for - definition.created_at, interval)
        if rest:
            complaints.append(f"{definition.pk}: run {row.pk} is for {row.scheduled_for}, which is no slot")
        answers.update(range(last - row.slots + 1, last + 1))
    expected = range(1, (until - definition.created_at) // interval + 1)
    complaints += [f"{definition.pk}: slot {slot} has {answers[slot]} answers" for slot in expected if answers[slot] != 1]
    return complaints + [f"{definition.pk}: slot {slot} was answered, but is none" for slot in answers if slot < 1]


def executed_twice(entries: Iterable[Entry]) -> list[str]:
    """Attempts that the execution log has started more than once."""
    counts = Counter(entry.key for entry in entries if entry.event == "start")
    return [f"{job} {slot} attempt {attempt} was executed {count} times" for (job, slot, attempt), count in counts.items() if count > 1]


def contradictions(rows: Iterable[JobRun], entries: Sequence[Entry]) -> list[str]:
    """Rows that disagree with the execution log."""
    started = {entry.run for entry in entries if entry.event == "start"}
    ended = {entry.run for entry in entries if entry.event == "end"}
    by_id = {row.pk: row for row in rows}
    complaints = [f"run {run} was executed and has no row" for run in started - by_id.keys()]
    for row in by_id.values():
        if row.status == "succeeded" and row.pk not in ended:
            complaints.append(f"run {row.pk} of {row.job_id} succeeded, but its function never returned")
        if row.status not in RAN and row.pk in started:
            complaints.append(f"run {row.pk} of {row.job_id} was executed, but is {row.status}")
        if row.status in {"queued", "running"}:
            complaints.append(f"run {row.pk} of {row.job_id} is still {row.status}")
    return complaints


def wrong_in_books(prefix: str, entries: Sequence[Entry]) -> list[str]:
    """What is wrong with the runs of the quick jobs whose ids start with `prefix`: one executed twice, one that contradicts the log, one that failed."""
    rows = list(JobRun.objects.filter(job__in=JobDefinition.objects.filter(pk__startswith=prefix)).exclude(status="queued", instance=""))
    ours = [entry for entry in entries if entry.job.startswith(prefix)]
    # On a busy machine a run may take longer than the second until the next, which is skipped.
    failed = [f"run {row.pk} of {row.job_id} is {row.status}" for row in rows if row.status not in {"succeeded", "skipped"}]
    return executed_twice(ours) + contradictions(rows, ours) + failed
