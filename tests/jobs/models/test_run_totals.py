"""Totals of runs under random interleavings: they never fall, and count each run once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.maintenance.prune import delete
from jobs.models import JobDefinition, JobRun, PendingRollup, RollupCursor, RunTotal, Status, run_totals
from jobs.models.run_stats import Totals, sum_up
from tests.jobs.engine.manual_scheduler import START, define, seconds

pytestmark = pytest.mark.django_db(transaction=True)

ACTIONS = st.sampled_from(["start", "start", "finish", "finish", "roll up", "prune", "read"])


class History:
    """Runs that start, end and are pruned, and the number of those that have ended: the truth that the totals must tell."""

    def __init__(self) -> None:
        for model in (PendingRollup, RollupCursor, RunTotal, JobRun, JobDefinition):
            model._default_manager.all().delete()
        define("a")
        self.started = self.finished = 0
        self.meanwhile: list[str] = []
        """Actions of other processes that come between two queries of the next action."""

    def do(self, action: str) -> None:
        {"start": self._start, "finish": self._finish, "roll up": RunTotal.objects.roll_up, "prune": self._prune, "read": self.read}[action]()

    def sum_up(self, runs: Any) -> Totals:
        """In place of `sum_up`: sums are read outside transactions, so any action of another process may come before one."""
        others, self.meanwhile = self.meanwhile, []
        for action in others:
            self.do(action)
        return sum_up(runs)

    def _start(self) -> None:
        self.started += 1
        JobRun.objects.create(job_id="a", scheduled_for=START + seconds(self.started), status=Status.RUNNING, started_at=START, instance="one")

    def _finish(self) -> None:
        """The middle one, so that older runs are still in progress."""
        running = list(JobRun.objects.running().order_by("pk").values_list("pk", flat=True))
        if running:
            JobRun.objects.filter(pk=running[len(running) // 2]).update(status=Status.SUCCEEDED, finished_at=START, duration_seconds=1.0)
            self.finished += 1

    @staticmethod
    def _prune() -> None:
        delete(list(JobRun.objects.finished().order_by("pk")[:2]))

    def read(self) -> None:
        before = self.finished
        totals = RunTotal.objects.current().get(("a", "succeeded"))
        counted = totals.runs if totals else 0
        assert before <= counted <= self.finished
        assert totals is None or totals.durations.sum == counted


@pytest.mark.parametrize("examples", [12, pytest.param(300, marks=pytest.mark.chaos)])
def test_each_run_is_counted_once_whatever_other_processes_do_between_two_queries(monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    @settings(deadline=None, max_examples=examples)
    @given(steps=st.lists(st.tuples(ACTIONS, st.lists(ACTIONS, max_size=4)), min_size=5, max_size=25))
    def check(steps: list[tuple[str, list[str]]]) -> None:
        history = History()
        monkeypatch.setattr(run_totals, "sum_up", history.sum_up)
        for action, meanwhile in steps:
            history.meanwhile = list(meanwhile)
            history.do(action)
            history.read()
        history.meanwhile = []
        history.read()
        totals = RunTotal.objects.current().get(("a", "succeeded"))
        assert (totals.runs if totals else 0) == history.finished

    monkeypatch.setattr(run_totals, "ROLL_UP_FROM", 1)
    check()


def test_the_proof_names_tests_that_exist() -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"\| `(test_\w+)` \|", (root.parent / "docs" / "run-totals.md").read_text())
    sources = "".join(path.read_text() for path in (root / "jobs").rglob("test_*.py"))
    assert named
    assert [name for name in named if f"def {name}(" not in sources] == []
