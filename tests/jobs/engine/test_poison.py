"""Rows damaged at a SQL prompt: the job shows its problem, and other jobs run."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from django_apscheduler.models import DjangoJob

from jobs.engine.jobstore import JobStore
from jobs.models import JobDefinition
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, answers, define, seconds

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "damage",
    [
        {"timezone": "Mars/Olympus", "trigger": "cron", "cron": "* * * * *"},
        {"trigger": "cron", "cron": "61 * * * *"},
        {"trigger": "cron", "cron": "not cron at all"},
        {"function": "gone_away"},
        {"kwargs": [1, 2]},
    ],
)
@pytest.mark.parametrize("known_before", [True, False])
def test_a_damaged_definition_shows_its_problem_and_other_jobs_run(damage: dict[str, Any], known_before: bool) -> None:
    scheduler = ManualScheduler()
    define("good")
    define("poisoned")
    if known_before:
        scheduler.reconcile(START)
    JobDefinition.objects.filter(pk="poisoned").update(**damage)
    started = {run.job_id for run in scheduler.tick(START + seconds(60))}
    assert "good" in started
    assert JobDefinition.objects.get(pk="poisoned").problem
    assert JobDefinition.objects.get(pk="good").problem is None
    assert not JobDefinition.objects.unapplied().exists()
    assert {entry.id for entry in JobStore(scheduler.plans)._get_jobs()} == {"good", "poisoned"}


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"\x80\x05garbage",
        b"{}",
        b"[]",
        b"null",
        pickle.dumps({"func": "os:system"}),
        lambda state: json.dumps(state | {"schedule": state["schedule"] | {"trigger": "cron", "cron": "x y z"}}).encode(),
        lambda state: json.dumps(state | {"schedule": state["schedule"] | {"interval_seconds": "soon"}}).encode(),
        lambda state: json.dumps(state | {"schedule": state["schedule"] | {"anchor": None}}).encode(),
        lambda state: json.dumps(state | {"policy": {"coalesce": 1, "surprise": 2}}).encode(),
        lambda state: json.dumps(state | {"policy": {"coalesce": True, "max_instances": "many", "misfire_grace_seconds": 60}}).encode(),
    ],
)
def test_a_damaged_entry_is_made_again_and_other_jobs_run(state: Any) -> None:
    scheduler = ManualScheduler()
    define("good")
    define("poisoned")
    scheduler.reconcile(START)
    entry = DjangoJob.objects.get(pk="poisoned")
    entry.job_state = state(json.loads(bytes(entry.job_state))) if callable(state) else state
    entry.save()
    assert [run.job_id for run in scheduler.claim(START + seconds(60)).start] == ["good"]
    assert [run.job_id for run in scheduler.tick(START + seconds(61))] == ["poisoned"]


def test_an_entry_without_a_definition_is_quarantined_and_not_deleted() -> None:
    scheduler = ManualScheduler()
    define("good")
    scheduler.reconcile(START)
    stock = pickle.dumps({"version": 1, "id": "orphan", "func": "os:getcwd"})
    DjangoJob.objects.create(id="orphan", next_run_time=START, job_state=stock)
    for minute in (1, 2):
        scheduler.finish(scheduler.tick(START + seconds(60 * minute)), START + seconds(60 * minute))
    assert [job.id for job in JobStore(scheduler.plans)._get_jobs()] == ["good"]
    orphan = DjangoJob.objects.get(pk="orphan")
    assert (bytes(orphan.job_state), orphan.next_run_time) == (stock, None)
    assert len(answers("good")) == 2
