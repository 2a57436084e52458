"""Find a PostgreSQL server for the tests: one on which we may create databases."""

from __future__ import annotations

import os
import subprocess
import sys

from devtools.environment import PYTHON, prepare
from devtools.say import stop

GUESSES = ["postgres://postgres@127.0.0.1:5432/postgres", "postgres://root@127.0.0.1:5432/root"]
MAY_CREATE = """
import sys, psycopg
try:
    with psycopg.connect(sys.argv[1], connect_timeout=2) as connection:
        row = connection.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        sys.exit(0 if row[0] else 1)
except psycopg.OperationalError:
    sys.exit(1)
"""


def find_postgres() -> str | None:
    """The address of a usable PostgreSQL server, or None.

    An unusable address in `VS_TEST_POSTGRES_URL` is an error, not a reason to skip tests.
    """
    configured = os.environ.get("VS_TEST_POSTGRES_URL")
    if configured:
        if not _usable(configured):
            stop("VS_TEST_POSTGRES_URL: no server answers there, or it does not let us create databases")
        return configured
    return next(filter(_usable, GUESSES), None)


def _usable(url: str) -> bool:
    return subprocess.run([str(PYTHON), "-c", MAY_CREATE, url], check=False).returncode == 0


def print_postgres(_arguments: list[str]) -> int:
    """Print the address for scripts; exit code 1 if no server is usable."""
    prepare("dev")
    url = find_postgres()
    if url is None:
        stop("no usable PostgreSQL on 127.0.0.1:5432")
    sys.stdout.write(url + "\n")
    return 0
