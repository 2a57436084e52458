"""Every column of every row is damaged in a dozen ways: each page, each list of the API and each command answers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from jobs.models import JobRun, SchedulerInstance
from tests.jobs.damage import damage, damages
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, at, define, seconds
from tests.support.api import ADMIN_KEY, api_keys

__all__ = ["api_keys"]
pytestmark = pytest.mark.django_db

ROWS = {
    "jobs_jobdefinition": "id = 'bad'",
    "django_apscheduler_djangojob": "id = 'bad'",
    "jobs_jobrun": "job_id = 'bad'",
    "jobs_historicaljobdefinition": "id = 'bad'",
    "jobs_schedulerinstance": "id = 'bad'",
}
NOW = START + seconds(125)
PAGES = [
    "/admin/",
    "/admin/jobs/jobdefinition/",
    "/admin/jobs/jobrun/",
    "/admin/jobs/jobdefinition/good/change/",
    "/admin/jobs/jobdefinition/bad/change/",
    "/admin/jobs/jobdefinition/bad/history/",
    "/metrics",
]
LISTS = ["/jobs", "/jobs/good", "/jobs/bad", "/runs", "/jobs/good/runs", "/jobs/bad/runs", "/jobs/bad/upcoming", "/scheduler"]
COMMANDS = [("jobs", "list"), ("jobs", "audit"), ("jobs", "export"), ("prunejobruns",)]


def prepare() -> None:
    with at(NOW):
        for name in ("good", "bad"):
            define(name)
            SchedulerInstance.objects.create(id=name, hostname="h", pid=1, version="", started_at=START, heartbeat_at=NOW, last_tick_at=NOW)
        scheduler = ManualScheduler("first")
        scheduler.reconcile(START)
        started = scheduler.tick(START + seconds(60))
        scheduler.finish(started, START + seconds(61))
        scheduler.tick(START + seconds(120))
        JobRun.objects.request("bad", "ada")


class Visitor:
    """Asks for everything, as staff, as a program and on the command line."""

    def __init__(self) -> None:
        self.staff, self.program = Client(raise_request_exception=False), Client(headers={"X-API-Key": ADMIN_KEY}, raise_request_exception=False)
        self.staff.force_login(User.objects.create_superuser("mira"))

    def failures(self) -> Iterator[str]:
        runs = list(JobRun.objects.values_list("pk", flat=True))[:3] if self._can_list() else []
        for path in [*PAGES, *(f"/admin/jobs/jobrun/{run}/change/" for run in runs)]:
            yield from self._ask(self.staff, path)
        for path in [*LISTS, *(f"/runs/{run}" for run in runs)]:
            yield from self._ask(self.program, f"/api/v1alpha1{path}")
        for command in COMMANDS:
            try:
                with transaction.atomic():
                    call_command(*command, stdout=io.StringIO(), stderr=io.StringIO())
            except SystemExit:
                pass
            except Exception as error:  # noqa: BLE001 -- all are reported together
                yield f"{' '.join(command)}: {type(error).__name__}: {error}"

    @staticmethod
    def _can_list() -> bool:
        try:
            list(JobRun.objects.values_list("pk", flat=True))
        except Exception:  # noqa: BLE001 -- an id that is none
            return False
        return True

    @staticmethod
    def _ask(client: Client, path: str) -> Iterator[str]:
        with transaction.atomic():
            answer: Any = client.get(path)
            transaction.set_rollback(True)
        if answer.status_code >= 500:
            error = answer.exc_info[1] if getattr(answer, "exc_info", None) else answer.content[:200]
            yield f"{path}: {answer.status_code} {type(error).__name__} {error}"


@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("table", ROWS)
def test_everything_answers_whatever_one_row_holds(table: str, step: int) -> None:
    visitor, failures, stored = Visitor(), [], 0
    for number, (column, value) in enumerate(damages(table)):
        if number % step == 0:
            with transaction.atomic():
                prepare()
                if damage(table, column, value, ROWS[table]):
                    stored += 1
                    with at(NOW):
                        failures += [f"{column} = {value!r}: {failure}" for failure in visitor.failures()]
                transaction.set_rollback(True)
    assert failures == []
    assert stored
