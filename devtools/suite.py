"""`./dev test`: the checks, the tests on SQLite, and the tests that depend on the database again on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from devtools.environment import OTHER_DJANGO_PYTHON, PYTHON, REPOSITORY, newest_python, prepare, prepare_other_django
from devtools.postgres import find_postgres
from devtools.say import say, stop

ALWAYS = "not chaos"
NO_TESTS = 5  # pytest's exit code when nothing was selected


def run_suite(arguments: list[str]) -> int:
    """Run everything, or only pytest with `arguments`; 0 if all passed."""
    started = time.monotonic()
    python, which = PYTHON, ""
    if arguments[:1] == ["--django"]:
        if not arguments[1:] or not (arguments[1].isascii() and arguments[1].isdecimal()):
            stop("--django needs a major version: ./dev test --django 6")
        if newest_python() is None:
            say("skip  tests with another Django: no Python 3.12 or later on this machine")
            return 0
        python, which = _other_django(arguments[1])
        arguments = arguments[2:] or ["tests"]
    else:
        prepare("dev")
    postgres = find_postgres()
    databases = [Database("SQLite", None, ALWAYS, python)]
    databases += [Database("PostgreSQL", postgres, f"{ALWAYS} and not once", python)] if postgres else []
    results = _chosen_tests(arguments, databases, which) if arguments else _everything(databases)
    for name, passed in results.items():
        say(f"{'pass' if passed else 'FAIL'}  {name}")
    if postgres is None:
        say("skip  tests on PostgreSQL: none on 127.0.0.1:5432, and VS_TEST_POSTGRES_URL is not set")
    if not arguments and not shutil.which("chromium"):
        say("skip  tests in a browser: no chromium (Debian: apt install chromium)")
    if not arguments and not shutil.which("promtool"):
        say("skip  tests of the alerts: no promtool (Debian: apt install prometheus)")
    failed = [name for name, passed in results.items() if not passed]
    say(f"{'failed: ' + ', '.join(failed) if failed else 'all passed'} in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


def _other_django(version: str) -> tuple[Path, str]:
    """The interpreter with another Django, and what it is in words."""
    prepare_other_django(version)
    asked = "import django, platform; print(f' with Django {django.__version__} and Python {platform.python_version()}')"
    which = subprocess.run([str(OTHER_DJANGO_PYTHON), "-c", asked], capture_output=True, text=True, check=True).stdout.rstrip()
    return OTHER_DJANGO_PYTHON, which


def _chosen_tests(arguments: list[str], databases: Sequence[Database], which: str) -> dict[str, bool]:
    return {f"tests on {database.name}{which}": database.run(which, *(["-m", database.marks] if which else []), *arguments) in {0, NO_TESTS} for database in databases}


def _everything(databases: Sequence[Database]) -> dict[str, bool]:
    checks = [_Check(name, command) for name, command in _checks().items()]
    # One database after the other: running both at once takes as long, and leaves less of a core for tests with deadlines.
    tests = {f"tests on {database.name}": database.in_parallel() & database.alone() for database in databases}
    return {check.name: check.passed() for check in checks} | tests


def _checks() -> dict[str, list[str]]:
    python = str(PYTHON)
    tool = str(PYTHON.parent)
    return {
        "lint (ruff check)": [f"{tool}/ruff", "check", "--output-format", "concise", "."],
        "format (ruff format)": [f"{tool}/ruff", "format", "--check", "--output-format", "concise", "."],
        "imports (lint-imports)": [f"{tool}/lint-imports"],
        "migrations (makemigrations --check)": [python, "manage.py", "makemigrations", "--check", "--dry-run"],
        "requirements (devtools.lock)": [python, "-m", "devtools.lock"],
        "types (mypy)": [f"{tool}/mypy"],
    }


class _Check:
    """A command that runs beside the tests; its output is shown only when it fails."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by passed()
        self._folder = tempfile.TemporaryDirectory()
        environment = _clean_environment() | {"VS_DEBUG": "true", "VS_DATABASE_URL": f"sqlite:///{self._folder.name}/checks.sqlite3"}
        self._process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT)

    def passed(self) -> bool:
        failed = self._process.wait() != 0
        with self._output as output, self._folder:
            if failed:
                output.seek(0)
                sys.stderr.write(f"\n--- {self.name}\n{output.read().decode(errors='replace')}\n")
        return not failed


@dataclass(frozen=True, slots=True)
class Database:
    """A database that tests run on: `marks` select the tests, and `url` is None for SQLite."""

    name: str
    url: str | None
    marks: str
    python: Path = PYTHON

    def in_parallel(self) -> bool:
        """Run all tests but those that measure time, on two workers for each core: half of the time, tests wait for processes."""
        workers = min(2 * (os.cpu_count() or 1), 12)
        return self.run("", "-n", str(workers), "--dist", "worksteal", "-m", f"{self.marks} and not alone") == 0

    def alone(self) -> bool:
        """Run the tests that measure time, one after the other."""
        return self.run("; tests that measure time, one by one", "-m", f"{self.marks} and alone") in {0, NO_TESTS}

    def run(self, which: str, *arguments: str) -> int:
        say(f"pytest on {self.name}{which}")
        return subprocess.run(self._command(*arguments), cwd=REPOSITORY, env=_clean_environment() | self._environment, check=False).returncode

    def _command(self, *arguments: str) -> list[str]:
        # A cache for each database, so that `--last-failed` works.
        return [str(self.python), "-m", "pytest", "-q", "-rs", "-o", f"cache_dir=.pytest_cache/{self.name.lower()}", *arguments]

    @property
    def _environment(self) -> dict[str, str]:
        return {"VS_DATABASE_URL": self.url} if self.url else {}


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("VS_")}
