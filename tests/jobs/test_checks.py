"""System checks, each by its id."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections

import health.checks
import jobs.checks
import jobs.conf
import vsadmin.checks
from jobs import left_open
from jobs.checks import TAG
from jobs.exceptions import FunctionExists
from jobs.registry import job, unregister

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
GOOD = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}


def ids(*, deploy: bool = False) -> set[str | None]:
    return {message.id for message in checks.run_checks(tags=[TAG], include_deployment_checks=deploy)}


def set_database(monkeypatch: pytest.MonkeyPatch, engine: str = "sqlite3", **values: Any) -> None:
    """Not by the fixture `settings`, which warns that Django's connections do not follow; here only the checks read it."""
    monkeypatch.setattr(settings, "DATABASES", {"default": {"ENGINE": f"django.db.backends.{engine}"} | values})


@pytest.fixture
def registered() -> Any:
    names: list[str] = []

    def register(name: str, **options: Any) -> Callable[..., Any]:
        names.append(name)
        return job(name, **options)

    yield register
    for name in names:
        unregister(name)


def test_the_settings_of_this_project_pass() -> None:
    assert ids(deploy=True) - {"jobs.E011"} == set()  # the tests' own key is a public one


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, None),
        ({"transaction_mode": "DEFERRED"}, "jobs.E003"),
        ({"transaction_mode": None}, "jobs.E003"),
        ({"init_command": "PRAGMA synchronous=NORMAL"}, "jobs.W004"),
        ({"init_command": "pragma journal_mode = wal; pragma synchronous = off"}, "jobs.E005"),
        ({"timeout": 5}, "jobs.W006"),
    ],
)
def test_sqlite_options_that_break_a_promise_are_named(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], found: str | None) -> None:
    set_database(monkeypatch, OPTIONS=GOOD | options)
    assert ids() == ({found} if found else set())


def test_sqlite_without_options_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    set_database(monkeypatch)
    assert ids() == {"jobs.E003", "jobs.W004", "jobs.W006"}


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    set_database(monkeypatch, OPTIONS=GOOD)
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 32, 9))
    assert ids() == {"jobs.E001"}
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 33, 0))
    assert ids() == set()


@pytest.mark.postgresql
@pytest.mark.django_db
def test_an_old_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connections["default"]), "get_database_version", lambda _self: (13, 9))
    assert [message.id for message in checks.run_checks(tags=[TAG], databases=["default"])] == ["jobs.E002"]
    monkeypatch.setattr(type(connections["default"]), "get_database_version", lambda _self: (14, 0))
    assert checks.run_checks(tags=[TAG], databases=["default"]) == []


@pytest.mark.parametrize("threads", [0, -1, "ten", 1.5])
def test_a_number_of_threads_that_no_pool_can_have_is_refused(settings: Any, threads: object) -> None:
    settings.JOBS_THREADS = threads
    assert ids() == {"jobs.E007"}


@pytest.mark.parametrize("path", ["nowhere", "vsadmin.api.auth.no_such_function", "no_such_module.guard"])
def test_a_guard_that_cannot_be_imported_is_refused(settings: Any, path: str) -> None:
    settings.JOBS_METRICS_GUARD = path
    assert ids() == {"jobs.E008"}


def test_two_functions_with_one_name_are_reported_after_the_error_was_caught(registered: Any) -> None:
    registered("taken")(print)
    with pytest.raises(FunctionExists):
        registered("taken")(repr)
    (message,) = checks.run_checks(tags=[TAG])
    assert message.id == "jobs.E009"
    assert "taken" in message.msg
    unregister("taken")
    assert ids() == set()


@pytest.mark.parametrize(
    "options",
    [
        {"cron": "0 4 * * *", "executor": "elsewhere"},
        {"cron": "61 * * * *"},
        {"cron": "0 4 * * *", "max_instance": 2},
        {"cron": "0 4 * * *", "setting": "NO_SUCH_SETTING"},
    ],
)
def test_a_default_definition_that_could_not_be_stored_is_named(registered: Any, options: dict[str, Any]) -> None:
    registered("wrong", **options)(print)
    (message,) = checks.run_checks(tags=[TAG])
    assert message.id == "jobs.E010"
    assert "wrong" in message.msg


@pytest.mark.parametrize(
    "change",
    [
        {"SECRET_KEY": "django-insecure-abc"},
        {"SECRET_KEY": "only-for-tests-abc"},
        {"SECRET_KEY": "k" * 50, "API_KEY_ADMIN": "k" * 50},
    ],
)
def test_a_secret_key_that_others_know_is_refused_in_production(settings: Any, change: dict[str, Any]) -> None:
    for name, value in change.items():
        setattr(settings, name, value)
    assert ids(deploy=True) == {"jobs.E011"}
    assert ids() == set()


def test_a_secret_key_that_is_also_the_database_password_is_refused(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SECRET_KEY = "k" * 50
    set_database(monkeypatch, "postgresql", PASSWORD="k" * 50)
    assert ids(deploy=True) == {"jobs.E011"}


def test_a_secret_key_of_its_own_is_accepted(settings: Any) -> None:
    settings.SECRET_KEY = "k" * 50
    assert ids(deploy=True) == set()


@pytest.mark.parametrize("workers", [-1, 257, "2", None])
def test_a_number_of_workers_out_of_range_is_refused(settings: Any, workers: Any) -> None:
    settings.JOBS_WORKERS = workers
    assert ids() == {"jobs.E012"}


def test_a_thread_that_an_import_starts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_open, "by_jobs_modules", [])
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, name="poller-of-mine", daemon=True)
    with left_open.noting_imports():
        thread.start()
    ended.set()
    (message,) = checks.run_checks(tags=[TAG])
    assert message.id == "jobs.W013"
    assert "poller-of-mine" in message.msg


def test_a_scheduler_does_not_start_with_an_error(settings: Any) -> None:
    settings.JOBS_THREADS = 0
    with pytest.raises(SystemCheckError, match=r"jobs\.E007"):
        call_command("runscheduler", skip_checks=False)


def test_the_documented_checks_are_those_that_exist() -> None:
    documented = re.findall(r"^\| `(\w+\.[EW]\d{3})` \|", DOCS.read_text(), re.MULTILINE)
    sources = [Path(str(module.__file__)).read_text() for module in (jobs.checks, health.checks, vsadmin.checks)]
    assert sorted(documented) == sorted(set(re.findall(r'id="(\w+\.[EW]\d{3})"', "".join(sources))))


def test_settings_that_a_project_does_not_make_have_defaults(settings: Any) -> None:
    for name in ("JOBS_ENVIRONMENT", "JOBS_THREADS", "JOBS_VERSION", "JOBS_METRICS_GUARD", "JOBS_WORKING_DIRECTORY"):
        delattr(settings, name)
    assert (jobs.conf.environment(), jobs.conf.threads(), jobs.conf.version(), jobs.conf.metrics_guard()) == ("default", 10, "", "")
    assert jobs.conf.working_directory() == Path.cwd()
