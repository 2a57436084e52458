"""PgBouncer in transaction mode, in front of the private PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.cluster import Cluster
from tests.support.processes import free_port
from tests.support.waiting import wait_until


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url):
            return True
    except psycopg.OperationalError:
        return False


@contextmanager
def pgbouncer(cluster: Cluster, database: str, folder: Path) -> Iterator[str]:
    """The address of `database` through two server connections that its clients share from transaction to transaction; skips without the program."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer on this machine (Debian: apt install pgbouncer)")
    port = free_port()
    configuration = folder / "pgbouncer.ini"
    lines = [
        "[databases]",
        f"{database} = user=tests host=127.0.0.1 port={cluster.port}",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = any",
        "pool_mode = transaction",
        "default_pool_size = 2",
        "min_pool_size = 2",
        "server_round_robin = 1",  # so that what outlives a transaction is missed at once
    ]
    configuration.write_text("\n".join(lines))
    folder.chmod(0o755)
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
    process = subprocess.Popen([program, "-q", *as_nobody, str(configuration)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"postgres://tests@127.0.0.1:{port}/{database}"
    try:
        wait_until(lambda: _answers(url), message="PgBouncer did not answer")
        yield url
    finally:
        process.kill()
        process.wait()
