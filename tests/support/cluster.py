"""A private PostgreSQL server, for tests that stop, freeze or restart it or fill its disk."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from tests.support.waiting import wait_until


def find_binaries() -> Path | None:
    """The folder of PostgreSQL's server programs, also where Debian keeps it; None when they are not installed."""
    found = [shutil.which("initdb"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)]
    return next((Path(path).parent for path in found if path), None)


def _lasting_port() -> int:
    """A free port outside of the range of ephemeral ports, so that it is still free when the server restarts."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Cluster:
    """A server in a new folder under /tmp, on its own port, with trust authentication on the loopback.

    The server dies with the process that started it.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="vsadmin-cluster-", dir="/tmp"))
        self._folder.chmod(0o711)
        self._data = self._folder / "data"
        self.port = _lasting_port()
        self._server: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
        command = [*self._as_postgres(), str(binaries / "initdb"), "--pgdata", str(self._data), "--username", "tests", "--auth", "trust", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd="/tmp", env=self._env())

    @staticmethod
    def _as_postgres() -> list[str]:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=KILL"]

    @staticmethod
    def _env() -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def url(self, database: str) -> str:
        return f"postgres://tests@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = ["fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={self.port}", "max_connections=200", "shared_buffers=64MB"]
        options = [part for setting in settings for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            command = [*self._as_postgres(), str(self._binaries / "postgres"), "-D", str(self._data), *options]
            self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/tmp", env=self._env())
        wait_until(self._answers, 30, "PostgreSQL did not start")

    def stop(self, sig: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT is `pg_ctl stop -m immediate`: no goodbye to clients, recovery at the next start."""
        if self._server is not None:
            self._server.send_signal(sig)
            self._server.wait(30)
            self._server = None

    def freeze(self) -> None:
        """Make it hang: the kernel still accepts connections, and the server answers none."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def restore(self) -> None:
        """Running and answering, whatever a test did to it."""
        self.thaw()
        if self._server is None:
            self.start()

    def _signal_all(self, sig: signal.Signals) -> None:
        if self._server is None:
            return
        postmaster = psutil.Process(self._server.pid)
        for process in [postmaster, *postmaster.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(sig)

    def execute(self, *statements: str, database: str = "postgres") -> Sequence[tuple[object, ...]]:
        """Run statements in autocommit mode; the rows of the last."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def remove(self) -> None:
        with suppress(ProcessLookupError):
            self.thaw()
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
