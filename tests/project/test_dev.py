"""`./dev`: the real tool, started as a person starts it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support.processes import NO_JOBS, REPOSITORY, free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

PASSWORD = re.compile(r"user admin, password (\S+)$", re.MULTILINE)


class Up:
    """`./dev up` on a database of its own, with what it prints in files."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._out = folder / "stdout"
        self._err = folder / "stderr"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("VS_", "DJANGO_"))}
        environment = kept | NO_JOBS | {"VS_DATABASE_URL": f"sqlite:///{folder}/up.sqlite3"}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [sys.executable, "dev", "up", "--port", str(self.port)]
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        self.family: list[psutil.Process] = []

    @property
    def printed(self) -> str:
        return self._out.read_text()

    @property
    def said(self) -> str:
        return self._err.read_text()

    def wait_until_it_runs(self) -> None:
        wait_until(lambda: "Ctrl-C" in self.printed or self.process.poll() is not None, timeout=60, message="./dev up never printed its addresses")
        assert self.process.poll() is None, self.said
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def is_starting(self, words: str) -> bool:
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        with suppress(psutil.NoSuchProcess):  # a process that ends while it is looked at
            return any(words in process.cmdline() for process in self.family)
        return False

    def child(self, words: str) -> psutil.Process:
        return next(process for process in self.family if words in " ".join(process.cmdline()))

    def survivors(self) -> list[psutil.Process]:
        return [process for process in self.family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

    def wait_until_all_have_ended(self) -> None:
        """The fork server ends when it reads that its scheduler has ended, so a moment after it."""
        wait_until(lambda: not self.survivors(), message="a process of ./dev up goes on without it")

    def close(self) -> None:
        for process in [*self.survivors(), psutil.Process(self.process.pid)] if self.process.poll() is None else self.survivors():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(10)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    yield running
    running.close()


def dev(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "dev", *arguments], cwd=REPOSITORY, env=os.environ | variables, capture_output=True, text=True, check=False)


def test_one_command_serves_a_site_that_the_printed_password_opens_and_a_signal_ends_all_of_it(up: Up, tmp_path: Path) -> None:
    up.wait_until_it_runs()
    [password] = PASSWORD.findall(up.printed)
    with httpx2.Client(base_url=f"http://127.0.0.1:{up.port}", trust_env=False, timeout=20) as browser:
        browser.get("/admin/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        assert browser.post("/admin/login/?next=/admin/", data=form).status_code == 302
        assert browser.get("/admin/").status_code == 200
    assert up.child("gunicorn").is_running()
    assert up.child("runscheduler").is_running()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(35) == 0, up.said
    up.wait_until_all_have_ended()
    again = Up(tmp_path)
    try:
        again.wait_until_it_runs()
        assert PASSWORD.findall(again.printed) == []
        assert "./dev manage [--demo] changepassword admin" in again.printed
    finally:
        again.close()


def test_a_signal_while_everything_is_still_starting_is_a_clean_end(up: Up) -> None:
    wait_until(lambda: up.is_starting("runscheduler"), timeout=60, message="./dev up never started a scheduler")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(35) == 0, up.said
    up.wait_until_all_have_ended()


def test_it_ends_with_an_error_when_the_scheduler_dies(up: Up) -> None:
    up.wait_until_it_runs()
    up.child("runscheduler").kill()
    assert up.process.wait(35) == 1
    assert "the scheduler has ended with -9" in up.said
    up.wait_until_all_have_ended()


def test_a_port_in_use_is_reported_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = dev("up", "--port", str(port))
    assert refused.returncode == 1
    assert refused.stderr == f"dev: port {port} is not available (Address already in use); choose another: ./dev up --port {port + 1}\n"


def test_an_unknown_command_shows_the_known_ones() -> None:
    refused = dev("upp")
    assert refused.returncode == 2
    assert "unknown command 'upp'" in refused.stderr
    assert "./dev COMMAND" in refused.stderr


@pytest.mark.parametrize("arguments", [(), ("newest",), ("-k", "cancel")])
def test_another_django_needs_a_major_version(arguments: tuple[str, ...]) -> None:
    refused = dev("test", "--django", *arguments)
    assert refused.returncode == 1
    assert refused.stderr == "dev: --django needs a major version: ./dev test --django 6\n"


def test_every_place_names_the_same_versions_of_python() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.15"
    tool = (REPOSITORY / "dev").read_text()
    assert "(3, 11) <= sys.version_info < (3, 15)" in tool
    for text in (tool, (REPOSITORY / "README.md").read_text()):
        assert "3.11 to 3.14" in text


def test_a_secret_is_long_enough_and_never_the_same() -> None:
    first, second = dev("secret").stdout.strip(), dev("secret").stdout.strip()
    assert len(first) >= 50
    assert first != second


def test_a_configured_postgresql_that_does_not_answer_is_an_error_and_no_reason_to_skip() -> None:
    refused = dev("postgres", VS_TEST_POSTGRES_URL=f"postgres://tests@127.0.0.1:{free_port()}/postgres")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("dev: VS_TEST_POSTGRES_URL: ")
