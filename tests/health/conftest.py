"""A PostgreSQL server of the test's own, to stop, freeze and start again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.processes import Site, free_port

BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


class Cluster:
    """A throw-away PostgreSQL cluster; it must not belong to root, so the user postgres runs it when root runs the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgres://tester@127.0.0.1:{self.port}/postgres"
        self._become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        if self._become:
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "--no-sync", "--auth=trust", "--username=tester", "--encoding=UTF8", "--locale=C", "-D", str(folder / "data"))

    def _run(self, program: str, *args: str) -> None:
        assert BIN is not None
        subprocess.run([*self._become, str(BIN / program), *args], cwd=self.folder, check=True, stdout=subprocess.DEVNULL, timeout=60)

    def _control(self, *args: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-w", *args)

    def start(self) -> None:
        self._control("-o", f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off", "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def _processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
        return [postmaster, *postmaster.children(recursive=True)]

    def freeze(self) -> None:
        """Let it hang: connections are accepted by the kernel and answered by nobody."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if BIN is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="vsadmin-pg-"))
    made = Cluster(folder)
    made.start()
    try:
        yield made
    finally:
        with suppress(FileNotFoundError, psutil.NoSuchProcess, subprocess.CalledProcessError):
            made.thaw()
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def remote_site(site: Site, cluster: Cluster) -> Site:
    """A site on the cluster."""
    site.env["VS_DATABASE_URL"] = cluster.url
    site.manage("migrate")
    return site
