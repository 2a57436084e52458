"""Users, jobs and runs for the tests of the admin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest
from django.contrib.auth.models import Permission, User
from django.forms import CheckboxInput
from django.test import Client
from django.utils.timezone import now

from jobs.models import Author, JobDefinition, JobRun, ScheduledJob, SchedulerInstance
from jobs.registry import job, unregister

STAFF = Author(name="mira", source="admin")


@pytest.fixture(autouse=True)
def echo_function() -> Any:
    """A job function with arguments of several types."""

    @job("echo")
    def echo(text: str = "hello", times: int = 1, loud: bool = False, tone: Literal["low", "high"] = "low", factor: float | None = None) -> dict[str, Any]:
        return {"said": [text] * times, "loud": loud, "tone": tone, "factor": factor}

    @job("needs_a_name")
    def needs_a_name(name: str) -> str:
        return name

    yield echo
    unregister("echo")
    unregister("needs_a_name")


@pytest.fixture
def make_job(db: None) -> Callable[..., JobDefinition]:
    def make(job_id: str = "greeting", **fields: Any) -> JobDefinition:
        values: dict[str, Any] = {"function": "echo", "trigger": "interval", "interval_seconds": 3600, "timezone": "Europe/Vienna"} | fields
        return JobDefinition.objects.add(STAFF, id=job_id, **values)

    return make


@pytest.fixture
def make_run() -> Callable[..., JobRun]:
    def make(definition: JobDefinition, status: str = "succeeded", *, ago: float = 60, **fields: Any) -> JobRun:
        slot = now() - timedelta(seconds=ago)
        ended = {} if status in {"queued", "running"} else {"finished_at": slot + timedelta(seconds=1), "duration_seconds": 1.0}
        begun = {} if status in {"queued", "missed", "skipped"} else {"started_at": slot, "instance": "scheduler-1"}
        return JobRun.objects.create(job=definition, scheduled_for=slot, status=status, queued_at=slot, **begun | ended | fields)

    return make


@pytest.fixture
def scheduler_alive(db: None) -> SchedulerInstance:
    # A tick 9 s in the future counts as alive for 19 s instead of 10, which a slow machine needs.
    at = now() + timedelta(seconds=9)
    return SchedulerInstance.objects.create(id="scheduler-1", hostname="host", pid=1, version="1", started_at=now(), heartbeat_at=at, last_tick_at=at)


@pytest.fixture
def client_with(db: None) -> Callable[..., Client]:
    """A logged-in client of a staff member with exactly these permissions."""

    def make(*codenames: str, superuser: bool = False) -> Client:
        user = User.objects.create_user(f"user{User.objects.count()}", is_staff=True, is_superuser=superuser)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="jobs", codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def admin(client_with: Callable[..., Client]) -> Client:
    return client_with(superuser=True)


@pytest.fixture
def viewer(client_with: Callable[..., Client]) -> Client:
    return client_with("view_jobdefinition", "view_jobrun")


@pytest.fixture
def post_job(admin: Client) -> Callable[..., Any]:
    """Submit a job's form as a browser does: the values shown, with some fields changed."""

    def post(definition: JobDefinition, client: Client = admin, **typed: Any) -> Any:
        page = client.get(f"/admin/jobs/jobdefinition/{definition.pk}/change/")
        data = form_data(page.context["adminform"].form) | typed
        return client.post(page.wsgi_request.path, {name: value for name, value in data.items() if value is not None})

    return post


def form_data(form: Any) -> dict[str, Any]:
    """What a browser sends for an unchanged form."""
    data: dict[str, Any] = {}
    for field in form:
        if isinstance(field.field.widget, CheckboxInput):
            data[field.html_name] = "on" if field.value() else None
            continue
        shown = field.field.widget.format_value(field.value())
        data[field.html_name] = (shown[0] if shown else "") if isinstance(shown, list) else "" if shown is None else shown
    return data


def set_next_run(definition: JobDefinition, next_run_time: datetime | None) -> None:
    """Add the job's row in the store, as a scheduler does."""
    ScheduledJob.objects.create(job=definition, next_run_time=next_run_time, job_state=b"")
