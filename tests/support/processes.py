"""A running site for a test: the real web server and the real scheduler, on the database of the test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import connection

from jobs.models import SchedulerInstance
from tests.settings import TEST_VARIABLES
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
NO_JOBS = {
    "VS_MOD_LIST_REFRESH_INTERVAL": "0",
    "VS_SERVER_VERSIONS_REFRESH_INTERVAL": "0",
    "VS_GAME_SERVER_WATCH_INTERVAL": "0",
}


# One for all: each new client first reads all CA certificates, which takes 15 ms.
_client = httpx2.Client(trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0))


def get(url: str, **options: Any) -> httpx2.Response:
    """Send a request on a new connection, as a probe does."""
    return _client.get(url, **options)


def free_port() -> int:
    """A loopback port on which no process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def database_url() -> str:
    """The `VS_DATABASE_URL` of the test database, for another process."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    user = quote(settings["USER"], safe="")
    password = quote(settings["PASSWORD"], safe="")
    return f"postgres://{user}:{password}@{settings['HOST']}:{settings['PORT']}/{quote(str(settings['NAME']), safe='')}"


class Site:
    """Real processes on the test database, each in its own process group, and killed when the test ends.

    `env` is what the processes get; change it before starting them.  All output of a process goes to one
    file; `output` is its text, `events` its JSON lines.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base_url = ""
        self._processes: dict[subprocess.Popen[bytes], Path] = {}
        self._stopped: set[subprocess.Popen[bytes]] = set()
        self._clients: list[httpx2.Client] = []
        # Bound but not listening: connections are refused, and no other process gets the port.
        self._nowhere = socket.socket()
        self._nowhere.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{self._nowhere.getsockname()[1]}"
        self.env = (
            {name: value for name, value in os.environ.items() if not name.startswith(("VS_", "DJANGO_"))}
            | TEST_VARIABLES
            | NO_JOBS
            | {
                "DJANGO_SETTINGS_MODULE": "vsadmin.settings",
                "PYTHONUNBUFFERED": "1",
                "VS_DATABASE_URL": database_url(),
                "VS_DATA_DIR": str(folder / "data"),
                "VS_SERVER_DIR": str(folder / "server"),
                "VS_VERSIONS_URL": nowhere,
                "VS_MODDB_URL": nowhere,
            }
        )

    def manage(self, *args: str, check: bool = True, input: str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` to its end; with `check` a non-zero exit code fails the test and shows the output."""
        command = [sys.executable, str(REPOSITORY / "manage.py"), *args]
        done = subprocess.run(command, cwd=REPOSITORY, env=self.env, input=input, text=True, capture_output=True, timeout=timeout, check=False)
        if check and done.returncode:
            raise AssertionError(f"manage.py {' '.join(args)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, *command: str, name: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start any command in a process group of its own, with its output in `<folder>/<name>-<n>.log`."""
        path = self.folder / f"{name}-{len(self._processes)}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(command, cwd=REPOSITORY, env=self.env | (env or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._processes[process] = path
        return process

    def start_web(self, *, asgi: bool = False, workers: int = 1, threads: int = 8, worker_class: str = "", **env: str) -> str:
        """Start gunicorn (or, with `asgi`, uvicorn) on a free port; its address, once it answers."""
        port = free_port()
        if asgi:
            command = ["uvicorn", "vsadmin.asgi:application", "--host", "127.0.0.1", "--port", str(port), "--no-proxy-headers", "--no-access-log"]
        else:
            command = ["gunicorn", "--config", "gunicorn.conf.py", "--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--threads", str(threads)]
            command += ["--worker-class", worker_class] if worker_class else []
        process = self.start(sys.executable, "-m", *command, *([] if asgi else ["vsadmin.wsgi"]), name="web", env=env)
        self.base_url = f"http://127.0.0.1:{port}"
        wait_until(lambda: self._answers(process, self.base_url), timeout=30, message="the web server never answered")
        return self.base_url

    def start_scheduler(self, *args: str, wait: bool = True, **env: str) -> subprocess.Popen[bytes]:
        """Start `manage.py runscheduler`; with `wait` return after its first completed tick."""
        process = self.start(sys.executable, "manage.py", "runscheduler", *args, name="scheduler", env=env)
        if wait:
            wait_until(lambda: self._ticked(process), timeout=30, message="the scheduler never completed a tick")
        return process

    def stop(self, process: subprocess.Popen[bytes], sig: int = signal.SIGTERM, timeout: float = 40) -> int:
        """Send `sig` to the process and wait for its end; its exit code."""
        self._stopped.add(process)
        process.send_signal(sig)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still alive {timeout:g} s after signal {sig}\n{self._tail(process)}") from None

    @property
    def processes(self) -> Iterable[subprocess.Popen[bytes]]:
        return list(self._processes)

    def output(self, process: subprocess.Popen[bytes]) -> str:
        """The output of the process so far."""
        return self._processes[process].read_text(errors="replace")

    def events(self, process: subprocess.Popen[bytes], event: str | None = None) -> list[dict[str, Any]]:
        """The JSON log lines of the process, or those of one event."""
        lines = [json.loads(line) for line in self.output(process).splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if event is None or line.get("event") == event]

    def user(self, username: str, **fields: Any) -> User:
        """The user of that name, with `PASSWORD`; made when there is none."""
        user, _created = User.objects.get_or_create(username=username, defaults={"password": _hashed_password(), **fields})
        return user

    def superuser(self, username: str = "admin") -> User:
        return self.user(username, is_staff=True, is_superuser=True)

    def anonymous(self, **headers: str) -> httpx2.Client:
        """An HTTP client for the running web server, not logged in."""
        client = httpx2.Client(base_url=self.base_url, timeout=20, trust_env=False, headers=headers)

        def add_csrf_token(request: httpx2.Request) -> None:
            if request.method not in SAFE_METHODS and "csrftoken" in client.cookies:
                request.headers["X-CSRFToken"] = client.cookies["csrftoken"]

        client.event_hooks["request"] = [add_csrf_token]
        self._clients.append(client)
        return client

    def http(self, user: User | None = None) -> httpx2.Client:
        """An HTTP client that has logged into admin as `user` (a superuser by default) through the login form."""
        client = self.anonymous()
        client.get("/admin/login/").raise_for_status()
        username = (user or self.superuser()).get_username()
        answer = client.post("/admin/login/?next=/admin/", data={"username": username, "password": PASSWORD})
        if "sessionid" not in client.cookies:
            raise AssertionError(f"{username} could not log in: {answer.status_code}\n{answer.text[:2000]}")
        return client

    def close(self) -> None:
        """Kill the running processes, and fail if a process ended with an exception."""
        died = [process for process in self._processes if process.poll() not in (None, 0, -signal.SIGKILL) and process not in self._stopped]
        for client in self._clients:
            client.close()
        for process in self._processes:
            _kill_group(process)
        self._nowhere.close()
        crashed = [self._tail(process) for process in died if "Traceback (most recent call last)" in self.output(process)]
        self._processes.clear()
        if crashed:
            raise AssertionError("\n".join(crashed))

    def _answers(self, process: subprocess.Popen[bytes], url: str) -> bool:
        self._check_alive(process)
        try:
            get(f"{url}/healthz", timeout=2)
        except httpx2.TransportError:
            return False
        return True

    def _ticked(self, process: subprocess.Popen[bytes]) -> bool:
        self._check_alive(process)
        return SchedulerInstance.objects.filter(pid=process.pid, last_tick_at__isnull=False).exists()

    def _check_alive(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode} while starting\n{self._tail(process)}")

    def _tail(self, process: subprocess.Popen[bytes]) -> str:
        lines = self.output(process).splitlines()[-40:]
        return f"--- {self._processes[process].name} (pid {process.pid}, exit code {process.poll()})\n" + "\n".join(lines)


@cache
def _hashed_password() -> str:
    # The web server knows only the hashers of production, which are slow; the test process uses a fast one.
    return make_password(PASSWORD, hasher="pbkdf2_sha256")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # A process group can outlive its leader.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
