"""Django system checks: what makes the promises of this app untrue in a project that has installed it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 -- Django's name
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connections
from django.utils.module_loading import import_string

from jobs import conf, left_open
from jobs.models import JobDefinition
from jobs.registry import JobFunction, all_functions, rejected_functions

TAG = "jobs"
SQLITE_AT_LEAST = (3, 33, 0)
"""The first release with UPDATE … FROM."""

POSTGRESQL_AT_LEAST = 14
LONGEST_WRITE_SECONDS = 20
PUBLIC_KEYS = ("django-insecure-", "only-for-tests-")


@register(TAG)
def check_sqlite(**_options: Any) -> list[CheckMessage]:
    """From the settings alone, so that a scheduler may run it while its database is down."""
    found: list[CheckMessage] = []
    for alias, database in settings.DATABASES.items():
        if database["ENGINE"].endswith("sqlite3"):
            found += _sqlite_version(sqlite3.sqlite_version_info)
            found += _sqlite_options(alias, database.get("OPTIONS", {}))
    return found


def _sqlite_version(version: Sequence[int]) -> Iterator[CheckMessage]:
    if tuple(version) < SQLITE_AT_LEAST:
        wanted = ".".join(map(str, SQLITE_AT_LEAST))
        yield Error(f"SQLite {'.'.join(map(str, version))} is too old; the statements of the scheduler need {wanted} or later.", id="jobs.E001")


def _sqlite_options(alias: str, options: dict[str, Any]) -> Iterator[CheckMessage]:
    pragmas = options.get("init_command", "").lower().replace(" ", "")
    place = f"DATABASES[{alias!r}]['OPTIONS']"
    if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
        yield Error(
            f"{place}['transaction_mode'] is not IMMEDIATE.",
            hint="A transaction that reads and then writes fails with 'database is locked' when another process wrote in between, whatever its timeout.",
            id="jobs.E003",
        )
    if "journal_mode=wal" not in pragmas:
        yield Warning(f"{place}['init_command'] does not set journal_mode=WAL.", hint="Without it each commit blocks all readers.", id="jobs.W004")
    if "synchronous=off" in pragmas or "synchronous=0" in pragmas:
        yield Error(f"{place}['init_command'] sets synchronous=OFF.", hint="A crash of the machine can then damage the file; use NORMAL.", id="jobs.E005")
    if float(options.get("timeout", 5)) < LONGEST_WRITE_SECONDS:
        yield Warning(f"{place}['timeout'] is below {LONGEST_WRITE_SECONDS} s.", hint="Writers wait for each other, and give up after this time.", id="jobs.W006")


@register(Tags.database, TAG)
def check_postgresql(databases: Iterable[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Needs the database: run by `migrate` and `check --database default`."""
    servers = [connections[alias] for alias in databases or () if connections[alias].vendor == "postgresql"]
    return [message for server in servers for message in _postgresql_version(server.get_database_version()[0])]


def _postgresql_version(version: int) -> Iterator[CheckMessage]:
    if version < POSTGRESQL_AT_LEAST:
        yield Error(f"PostgreSQL {version} is too old; {POSTGRESQL_AT_LEAST} or later is needed.", id="jobs.E002")


@register(TAG)
def check_settings(**_options: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not isinstance(conf.threads(), int) or conf.threads() < 1:
        found.append(Error(f"JOBS_THREADS is {conf.threads()!r}; a whole number from 1 on is expected.", id="jobs.E007"))
    if not isinstance(conf.workers(), int) or not 0 <= conf.workers() <= conf.MAX_WORKERS:
        found.append(Error(f"JOBS_WORKERS is {conf.workers()!r}; a whole number from 0 to {conf.MAX_WORKERS} is expected.", id="jobs.E012"))
    if conf.metrics_guard():
        try:
            import_string(conf.metrics_guard())
        except ImportError as error:
            found.append(Error(f"JOBS_METRICS_GUARD names a function that cannot be imported: {error}", id="jobs.E008"))
    return found


@register(TAG)
def check_functions(**_options: Any) -> list[CheckMessage]:
    twice = [Error(str(error), id="jobs.E009") for error in rejected_functions()]
    problems = {function.name: _default_problem(function) for function in all_functions()}
    text = "The default definition of the job function {!r} is not valid: {}"
    return [*twice, *(Error(text.format(name, problem), id="jobs.E010") for name, problem in problems.items() if problem)]


@register(TAG)
def check_imports(**_options: Any) -> list[CheckMessage]:
    """Worker processes are forked after the imports, and a fork has no other threads and must not share a connection."""
    hint = "Start it in the job function: worker processes are forked after the import and do not have it."
    return [Warning(f"Importing the apps' jobs modules has started {name}.", hint=hint, id="jobs.W013") for name in left_open.by_jobs_modules]


def _default_problem(function: JobFunction) -> str:
    try:
        defaults = function.definition_defaults() or {"interval_seconds": 0}
        if defaults.get("interval_seconds") != 0:  # 0 makes no definition
            JobDefinition.objects.draft(**defaults)
    except ValidationError as error:
        return "; ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
    except (AttributeError, ImproperlyConfigured, TypeError) as error:  # a setting that is missing, a field that does not exist
        return str(error)
    return ""


@register(Tags.security, TAG, deploy=True)
def check_secret_key(**_options: Any) -> list[CheckMessage]:
    """Sessions are signed with the key, and the session of a staff member may run any job."""
    if settings.SECRET_KEY.startswith(PUBLIC_KEYS):
        return [Error("SECRET_KEY is a key for development or tests, which others know.", hint="Set a random key of your own.", id="jobs.E011")]
    others = [name for name in dir(settings) if name.isupper() and name != "SECRET_KEY" and getattr(settings, name) == settings.SECRET_KEY]
    others += [f"DATABASES[{alias!r}]['PASSWORD']" for alias, database in settings.DATABASES.items() if database.get("PASSWORD") == settings.SECRET_KEY]
    return [Error(f"SECRET_KEY is shared with {name}.", hint="Use a secret for one purpose only.", id="jobs.E011") for name in others]
