"""Which PostgreSQL the tests may use: one where we may create databases."""

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
    """The address of a usable PostgreSQL; None when there is none.

    `VS_TEST_POSTGRES_URL` is a promise: when it does not hold, that is an error and not a reason to skip.
    """
    promised = os.environ.get("VS_TEST_POSTGRES_URL")
    if promised:
        if not _usable(promised):
            stop("VS_TEST_POSTGRES_URL: nobody answers there, or we may not create databases")
        return promised
    return next(filter(_usable, GUESSES), None)


def _usable(url: str) -> bool:
    return subprocess.run([str(PYTHON), "-c", MAY_CREATE, url], check=False).returncode == 0


def print_postgres(_arguments: list[str]) -> int:
    """Print the address for scripts; exit code 1 when there is none."""
    prepare("dev")
    url = find_postgres()
    if url is None:
        stop("no PostgreSQL is reachable on 127.0.0.1:5432")
    sys.stdout.write(url + "\n")
    return 0
