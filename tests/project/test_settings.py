"""The environment: every variable documented, every bad value named in one line that does not repeat it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from tests.settings import SECRET_KEY_FOR_TESTS
from tests.support.processes import REPOSITORY
from vsadmin.environment import Environment, read_environment

pytestmark = pytest.mark.once

ROW = re.compile(r"^\| `(VS_[A-Z_]+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)
DOCUMENTED = {name: (default, meaning) for name, default, meaning in ROW.findall((REPOSITORY / "docs" / "settings.md").read_text())}
FIELDS = {f"VS_{name.upper()}": field for name, field in Environment.model_fields.items()}
PRODUCTION = ("jobs", "health", "vsadmin")


def shown(value: object) -> str:
    """A default as the documentation writes it."""
    text = str(value).lower() if isinstance(value, bool) else ",".join(value) if isinstance(value, list) else str(value)
    return f"`{text}`" if text and value is not None else ""


def manage(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VS_", "DJANGO_"))}
    command = [sys.executable, "manage.py", *args]
    return subprocess.run(command, cwd=REPOSITORY, env=environment | variables, capture_output=True, text=True, check=False)


def test_every_variable_is_documented_and_nothing_else() -> None:
    assert set(DOCUMENTED) == set(FIELDS)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_the_documented_default_is_the_real_one(name: str) -> None:
    default = FIELDS[name].default
    assert default is not PydanticUndefined
    assert DOCUMENTED[name][0] == shown(default)


def test_only_the_environment_module_reads_the_environment() -> None:
    """The entry points set DJANGO_SETTINGS_MODULE; nobody else but pydantic-settings looks."""
    readers = {
        str(path.relative_to(REPOSITORY))
        for app in PRODUCTION
        for path in (REPOSITORY / app).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name) and (node.attr if isinstance(node, ast.Attribute) else node.id) in {"environ", "getenv", "BaseSettings"}
    }
    starts_a_process = "jobs/engine/workers/fork_server.py"  # PYTHONPATH for the fork server
    assert readers <= {"vsadmin/environment.py", "vsadmin/asgi.py", "vsadmin/wsgi.py", starts_a_process}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("VS_TIME_ZONE", "Europe/Wien", "expected an IANA time zone"),
        ("VS_TIME_ZONE", "../../etc/passwd", "expected an IANA time zone"),
        ("VS_DATABASE_URL", "mysql://joe:hunter2@db/vsadmin", "expected sqlite:///path or postgres://"),
        ("VS_DATABASE_URL", "postgres://joe:hunter2@db/", "expected postgres://"),
        ("VS_DATABASE_URL", "postgres://joe:hunter2@db:port/vsadmin", "expected postgres://"),
        ("VS_DATABASE_URL", "postgres://joe:hunter2@[db/vsadmin", "expected postgres://"),
        ("VS_DATABASE_URL", "sqlite://", "expected sqlite:///"),
        ("VS_VERSIONS_URL", "ftp://hunter2.example", "expected an address such as"),
        ("VS_MODDB_URL", "https://", "expected an address such as"),
        ("VS_MODDB_URL", "https://[hunter2", "expected an address such as"),
        ("VS_MOD_LIST_REFRESH_INTERVAL", "hunter2", "integer"),
        ("VS_MOD_LIST_REFRESH_INTERVAL", "1.5", "integer"),
        ("VS_SERVER_VERSIONS_REFRESH_INTERVAL", "-1", "greater than or equal to 0"),
        ("VS_GAME_SERVER_WATCH_INTERVAL", "10000000000000", "less than or equal to 31622400"),
        ("VS_SCHEDULER_THREADS", "0", "greater than or equal to 1"),
        ("VS_LOG_LEVEL", "chatty", "'DEBUG', 'INFO'"),
        ("VS_DEBUG", "perhaps", "boolean"),
        ("VS_HTTPS", "perhaps", "boolean"),
        ("VS_API_KEY_ADMIN", "hunter2", "expected at least 32 random characters"),
        ("VS_API_KEY_ADMIN", "0123456789abcdef0123456789abcde", "expected at least 32 random characters"),
        ("VS_API_KEY_ADMIN", "k" * 64, "expected at least 32 random characters"),
        ("VS_API_KEY_MONITOR", "abcdefg" * 8, "expected at least 32 random characters"),
        ("VS_SECRET_KEY", "", "expected 50 random characters"),
        ("VS_SECRET_KEY", "hunter2", "expected 50 random characters"),
        ("VS_SECRET_KEY", "s" * 64, "expected 50 random characters"),
        ("VS_TRUSTED_PROXIES", "127.0.0.1,hunter2", "expected addresses or networks"),
        ("VS_CSRF_TRUSTED_ORIGINS", "hunter2.example", "expected origins such as"),
        ("VS_CSRF_TRUSTED_ORIGINS", "https://hunter2.example/", "expected origins such as"),
        ("VS_CSRF_TRUSTED_ORIGINS", "https://joe:hunter2@jobs.example", "expected origins such as"),
        ("VS_PATH_PREFIX", "hunter2", "expected a path such as"),
        ("VS_PATH_PREFIX", "/../hunter2", "expected a path such as"),
        ("VS_PATH_PREFIX", "/admin/hunter2", "expected a path such as"),
        ("VS_ENVIRONMENT", "x" * 101, "at most 100 characters"),
    ],
)
def test_a_bad_value_is_answered_with_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        read_environment()
    assert stopped.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vsadmin: {name}: ")
    assert says in line
    assert "hunter2" not in line


def test_a_bad_value_stops_the_start_before_anything_else_is_said() -> None:
    stopped = manage("check", VS_SECRET_KEY=SECRET_KEY_FOR_TESTS, VS_TIME_ZONE="Europe/Wien")
    assert stopped.returncode == 2
    assert stopped.stdout == ""
    assert stopped.stderr == "vsadmin: VS_TIME_ZONE: expected an IANA time zone such as Europe/Vienna\n"


def test_the_same_key_for_both_roles_is_refused_without_showing_it() -> None:
    key = "hunter2-hunter2-hunter2-0123456789"
    stopped = manage("check", VS_SECRET_KEY=SECRET_KEY_FOR_TESTS, VS_API_KEY_ADMIN=key, VS_API_KEY_MONITOR=key)
    assert stopped.stderr.splitlines() == ["vsadmin: VS_API_KEY_MONITOR: expected another key than VS_API_KEY_ADMIN"]


def test_gunicorn_stops_with_the_same_line() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VS_", "DJANGO_"))}
    command = [str(Path(sys.executable).parent / "gunicorn"), "--bind", "127.0.0.1:0", "vsadmin.wsgi"]
    stopped = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert stopped.returncode != 0
    [line] = stopped.stderr.splitlines()
    assert line.startswith("vsadmin: VS_SECRET_KEY: ")


def test_the_deployment_check_is_clean_without_debug() -> None:
    checked = manage("check", "--deploy", "--fail-level", "WARNING", VS_SECRET_KEY="0123456789" * 6)
    assert checked.returncode == 0, checked.stderr
    assert "no issues (0 silenced)" in checked.stdout


def test_no_migration_is_missing(tmp_path: Path) -> None:
    made = manage("makemigrations", "--check", "--dry-run", VS_SECRET_KEY=SECRET_KEY_FOR_TESTS, VS_DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert made.returncode == 0, made.stdout + made.stderr
