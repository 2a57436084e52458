"""`./dev test`: the checks, then the tests on SQLite, then those that depend on the database on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import IO

from devtools.environment import PYTHON, REPOSITORY, prepare
from devtools.postgres import find_postgres
from devtools.say import say

ALWAYS = "not chaos"
NO_TESTS = 5  # pytest's exit code when nothing was selected


def run_suite(arguments: list[str]) -> int:
    """Run everything, or just pytest with `arguments`; 0 when all of it passed."""
    started = time.monotonic()
    prepare("dev")
    postgres = find_postgres()
    results = _chosen_tests(arguments, postgres) if arguments else _everything(postgres)
    for name, passed in results.items():
        say(f"{'pass' if passed else 'FAIL'}  {name}")
    if postgres is None:
        say("skip  tests on PostgreSQL: none on 127.0.0.1:5432, and VS_TEST_POSTGRES_URL is not set")
    if not arguments and not shutil.which("chromium"):
        say("skip  tests in a browser: no chromium (Debian: apt install chromium)")
    failed = [name for name, passed in results.items() if not passed]
    say(f"{'failed: ' + ', '.join(failed) if failed else 'all passed'} in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


def _chosen_tests(arguments: list[str], postgres: str | None) -> dict[str, bool]:
    results = {"tests on SQLite": _pytest(arguments)}
    if postgres:
        results["tests on PostgreSQL"] = _pytest(arguments, postgres)
    return results


def _everything(postgres: str | None) -> dict[str, bool]:
    checks = [_Check(name, command) for name, command in _checks().items()]
    results = {"tests on SQLite": _both_passes(ALWAYS)}
    if postgres:
        results["tests on PostgreSQL"] = _both_passes(f"{ALWAYS} and not once", postgres)
    return {check.name: check.passed() for check in checks} | results


def _checks() -> dict[str, list[str]]:
    python = str(PYTHON)
    tool = str(PYTHON.parent)
    return {
        "lint (ruff check)": [f"{tool}/ruff", "check", "--output-format", "concise", "."],
        "format (ruff format)": [f"{tool}/ruff", "format", "--check", "--output-format", "concise", "."],
        "imports (lint-imports)": [f"{tool}/lint-imports"],
        "migrations (makemigrations --check)": [python, "manage.py", "makemigrations", "--check", "--dry-run"],
        "lock files": [python, "-m", "devtools.lock"],
        "types (mypy)": [f"{tool}/mypy"],
    }


class _Check:
    """A command that runs beside the tests; what it prints is shown only when it fails."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by passed()
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


def _both_passes(marks: str, database_url: str | None = None) -> bool:
    # Most tests wait for processes most of the time, so there are more workers than cores.  Those marked
    # `alone` measure time, and get the machine for themselves.
    workers = min((os.cpu_count() or 1) + 2, 8)
    together = _pytest(["-n", str(workers), "--dist", "worksteal", "-m", f"{marks} and not alone"], database_url) or _second_look(marks, database_url)
    alone = _pytest(["-m", f"{marks} and alone"], database_url, "; those that measure time, alone")
    return together and alone


def _second_look(marks: str, database_url: str | None) -> bool:
    """Whether what failed in the crowd passes with the machine for itself: a promise of a quarter of a second needs its share of a core."""
    passed = _pytest(["--last-failed", "--last-failed-no-failures", "none", "-m", f"{marks} and not alone"], database_url, "; what failed, alone", fine=(0,))
    if passed:
        say("NOTE  the tests above failed among the others and passed alone: find out why, or mark them `alone`")
    return passed


def _pytest(arguments: list[str], database_url: str | None = None, which: str = "", fine: tuple[int, ...] = (0, NO_TESTS)) -> bool:
    environment = _clean_environment() | ({"VS_DATABASE_URL": database_url} if database_url else {})
    say(f"pytest on {'PostgreSQL' if database_url else 'SQLite'}{which}")
    command = [str(PYTHON), "-m", "pytest", "-q", "-rs", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode in fine


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("VS_")}
