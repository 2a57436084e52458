from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.timezone import now
from structlog.testing import capture_logs

from jobs.models import JobDefinition
from tests.support.api import ADMIN_KEY, ROOT, Caller, data, problem
from tests.support.rows import make_job
from vsadmin.api.api import api
from vsadmin.models import ApiKey, Role

pytestmark = pytest.mark.django_db


def issue(role: str = Role.ADMIN, **fields: Any) -> str:
    row, key = ApiKey.objects.issue("test", role, "tester")
    ApiKey.objects.filter(pk=row.pk).update(**fields)
    return key


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_a_key_opens_the_api_in_either_header(header: str) -> None:
    value = ADMIN_KEY if header == "X-API-Key" else f"Bearer {ADMIN_KEY}"
    assert data(Caller(**{header: value}).get("/auth/me")) == {"name": "VS_API_KEY_ADMIN", "role": "admin"}


BAD_KEYS = {
    "unknown": "vs_0123456789ab_" + "x" * 43,
    "no key at all": "hello",
    "not ASCII": "schlüssel-\u20ac",
    "a byte that is no text": "\udce4\udcf6",
    "100 kB": "k" * 100_000,
    "only the prefix": ADMIN_KEY[:-1],
    "longer": ADMIN_KEY + "x",
    "with NUL": "vs_0123456789ab_\x00",
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
def test_every_bad_key_gets_the_same_answer(key: str, anonymous: Caller) -> None:
    bad = Caller()
    bad.client.defaults["HTTP_X_API_KEY"] = key
    body = problem(bad.get("/jobs"), 401, "UNAUTHORIZED")
    assert body == problem(anonymous.get("/jobs"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("change", ["expires_at", "revoked_at"])
def test_an_expired_or_revoked_key_opens_nothing(change: str, anonymous: Caller) -> None:
    fields: dict[str, Any] = {change: now() - timedelta(seconds=1)}
    key = issue(**fields)
    assert problem(Caller(**{"X-API-Key": key}).get("/jobs"), 401, "UNAUTHORIZED") == problem(anonymous.get("/jobs"), 401, "UNAUTHORIZED")


def test_a_key_that_expires_later_opens_the_api_now() -> None:
    key = issue(expires_at=now() + timedelta(minutes=1))
    assert data(Caller(**{"X-API-Key": key}).get("/jobs"))["total"] == 0


def test_an_empty_environment_key_lets_nobody_in(settings: LazySettings) -> None:
    settings.API_KEY_ADMIN = ""
    problem(Caller(**{"X-API-Key": "", "Authorization": "Bearer "}).get("/jobs"), 401, "UNAUTHORIZED")


def test_a_failure_is_logged_with_everything_but_the_key() -> None:
    with capture_logs() as logs:
        Caller(**{"X-API-Key": "a-secret-typed-wrong"}).post("/jobs/backup/run")
    (line,) = [line for line in logs if line["event"] == "auth_failed"]
    assert (line["path"], line["method"], line["peer"]) == (f"{ROOT}/jobs/backup/run", "POST", "127.0.0.1")
    assert "a-secret-typed-wrong" not in str(logs)


def test_use_is_noted_at_most_once_a_minute() -> None:
    key = issue()
    caller = Caller(**{"X-API-Key": key})
    caller.get("/auth/me")
    row = ApiKey.objects.get()
    first = row.last_used_at
    assert first is not None
    caller.get("/auth/me")
    row.refresh_from_db()
    assert row.last_used_at == first
    ApiKey.objects.update(last_used_at=now() - timedelta(seconds=61))
    caller.get("/auth/me")
    row.refresh_from_db()
    assert row.last_used_at > first


def test_the_database_keeps_no_key() -> None:
    key = issue()
    row = ApiKey.objects.get()
    assert key.startswith(row.prefix)
    assert key.removeprefix(row.prefix) not in str(ApiKey.objects.values().get())


@pytest.mark.parametrize("path", ["/jobs", "/runs", "/functions", "/scheduler", "/jobs/none", "/runs/1"])
def test_the_monitor_key_reads_no_jobs(path: str, monitor: Caller) -> None:
    problem(monitor.get(path), 403, "FORBIDDEN")


@pytest.mark.parametrize("path", ["/versions", "/mods", "/server/status", "/auth/me"])
def test_the_monitor_key_reads_what_monitors_need(path: str, monitor: Caller) -> None:
    data(monitor.get(path))


def test_401_comes_before_403_before_404_before_422(admin: Caller, monitor: Caller, anonymous: Caller) -> None:
    bad = "/jobs/none/upcoming?count=-1&nonsense=1"
    problem(anonymous.get(bad), 401, "UNAUTHORIZED")
    problem(monitor.get(bad), 403, "FORBIDDEN")
    problem(admin.get(bad), 422, "VALIDATION_ERROR")
    problem(anonymous.get("/no/such/route"), 401, "UNAUTHORIZED")
    problem(anonymous.ask("PUT", "/jobs"), 401, "UNAUTHORIZED")
    problem(anonymous.post("/jobs", b"{not json"), 401, "UNAUTHORIZED")
    problem(monitor.post("/jobs", b"{not json"), 403, "FORBIDDEN")


class Session(Caller):
    """A logged-in user's browser."""

    def __init__(self, user: User) -> None:
        super().__init__()
        self.client = Client(enforce_csrf_checks=True)
        self.client.force_login(user)

    def with_token(self) -> dict[str, str]:
        self.client.get("/admin/login/")
        token = "t" * 32
        self.client.cookies["csrftoken"] = token
        return {"X-CSRFToken": token}


def staff(*permissions: str, **fields: bool) -> Session:
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return Session(user)


def test_staff_do_by_session_what_their_permissions_say() -> None:
    make_job()
    session = staff("view_jobdefinition", "run_jobdefinition")
    data(session.get("/jobs"))
    assert data(session.post("/jobs/backup/run", **session.with_token()), 202)["run"]["requested_by"] == "anna"
    problem(session.patch("/jobs/backup", {"enabled": False}, **session.with_token()), 403, "FORBIDDEN")
    problem(session.get("/runs"), 403, "FORBIDDEN")


@pytest.mark.parametrize(("permission", "may"), [("delete_jobdefinition", True), ("change_jobdefinition", False)])
def test_restoring_takes_the_permission_to_archive_in_the_api_and_in_the_admin(permission: str, *, may: bool) -> None:
    session = staff("view_jobdefinition", permission)
    for restore in (_restore_by_api, _restore_in_admin):
        make_job(archived_at=now())
        restore(session)
        assert (JobDefinition.objects.get().archived_at is None) == may
        JobDefinition.objects.all().delete()


def _restore_by_api(session: Session) -> None:
    session.post("/jobs/backup/restore", **session.with_token())


def _restore_in_admin(session: Session) -> None:
    session.client.post("/admin/jobs/jobdefinition/backup/restore/", {"confirmed": "1"}, headers=session.with_token())


def test_a_session_needs_its_csrf_token_for_a_change_and_a_key_does_not(admin: Caller) -> None:
    make_job()
    session = staff("run_jobdefinition")
    problem(session.post("/jobs/backup/run"), 403, "CSRF_FAILED")
    data(admin.post("/jobs/backup/run"), 202)


def test_a_user_who_is_not_staff_may_nothing() -> None:
    session = Session(User.objects.create_user("guest"))
    problem(session.get("/auth/me"), 403, "FORBIDDEN")


def test_a_bad_key_is_not_saved_by_a_good_session() -> None:
    session = Session(User.objects.create_superuser("root"))
    problem(session.get("/jobs", **{"X-API-Key": "wrong"}), 401, "UNAUTHORIZED")


def test_every_operation_is_guarded() -> None:
    operations = [operation for router in api._get_bound_routers() for view in router.path_operations.values() for operation in view.operations]
    assert len(operations) > 20
    assert [operation.path for operation in operations if len(operation.auth_callbacks) != 3] == []
