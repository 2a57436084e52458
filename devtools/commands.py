"""The commands of `./dev` by name."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable

from devtools.environment import BENCH_PYTHON, PYTHON, REPOSITORY, prepare, prepare_bench
from devtools.lock import write_locks
from devtools.postgres import find_postgres, print_postgres
from devtools.say import Stop, say
from devtools.suite import run_suite
from devtools.up import manage, site_environment, up


def run(name: str, arguments: list[str]) -> int:
    """Run the command `name` and return its exit code."""
    commands: dict[str, Callable[[list[str]], int]] = {
        "up": up,
        "manage": manage,
        "test": run_suite,
        "chaos": lambda rest: _in_venv("-m", "pytest", "tests/chaos", "-m", "chaos", *rest),
        "bench": _bench,
        "screenshots": lambda rest: _in_venv("-m", "tests.browser.screenshots", *rest),
        "openapi": lambda rest: _in_venv("manage.py", "export_openapi", *rest),
        "lock": write_locks,
        "secret": _secret,
        "postgres": print_postgres,
    }
    # Without bytecode caches every started process compiles a thousand files, which takes most of a second.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        return commands[name](arguments)
    except Stop as reason:
        say(str(reason))
        return 1
    except KeyboardInterrupt:
        return 130


def _in_venv(*command: str) -> int:
    prepare("dev")
    return subprocess.run([str(PYTHON), *command], cwd=REPOSITORY, env=site_environment(demo=False), check=False).returncode


def _bench(arguments: list[str]) -> int:
    without_peers = any(argument.startswith(("--against", "--no-peers")) for argument in arguments)
    if without_peers:
        prepare("dev")
    else:
        prepare_bench()
    url = find_postgres()
    python = PYTHON if without_peers else BENCH_PYTHON
    command = [str(python), "-m", "tests.benchmarks", *(["--postgres", url] if url else []), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, check=False).returncode


def _secret(_arguments: list[str]) -> int:
    sys.stdout.write(secrets.token_urlsafe(50) + "\n")
    return 0
