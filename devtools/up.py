"""`./dev up`: web server and scheduler on this machine, as in production, with one command."""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from devtools.environment import PYTHON, REPOSITORY, prepare
from devtools.processes import Processes
from devtools.say import say, stop

VAR = REPOSITORY / "var"
DEMO = VAR / "demo"
START_SECONDS = 60
LOOPBACK = "127.0.0.1"


def up(arguments: list[str]) -> int:
    """Set up and run web server and scheduler until Ctrl-C; 0 after a clean stop, 1 if either ended by itself."""
    parser = argparse.ArgumentParser(prog="./dev up")
    parser.add_argument("--port", type=_port, default=8000, help="port of the web server (default: 8000)")
    parser.add_argument("--demo", action="store_true", help="use stand-ins for the upstream services and a sample game server")
    options = parser.parse_args(arguments)
    prepare("runtime")
    _check_port(options.port)
    environment = site_environment(demo=options.demo)
    processes = Processes(environment)
    with processes.stopped_by_signals():
        if options.demo:
            _start_standin(processes, environment)
        _manage("migrate", "--verbosity", "0", environment=environment)
        password = _create_admin(environment)
        _start_site(processes, options.port)
        if _wait_until_it_answers(processes, options.port):
            _print_addresses(options.port, password)
        return processes.wait()


def manage(arguments: list[str]) -> int:
    """Run manage.py in the environment of `up`."""
    prepare("runtime")
    demo = arguments[:1] == ["--demo"]
    command = [str(PYTHON), "manage.py", *arguments[1 if demo else 0 :]]
    return subprocess.run(command, cwd=REPOSITORY, env=site_environment(demo=demo), check=False).returncode


def site_environment(*, demo: bool) -> dict[str, str]:
    """This process's environment, with defaults for the variables that must be set."""
    VAR.mkdir(mode=0o700, exist_ok=True)
    with suppress(PermissionError):  # another user's
        VAR.chmod(0o700)
    defaults = {
        "VS_SECRET_KEY": _secret_key(),
        # As in production, but without a TLS proxy in front.
        "VS_HTTPS": "false",
        "PYTHONUNBUFFERED": "1",
    }
    environment = defaults | {name: value for name, value in os.environ.items() if value or not name.startswith("VS_")}
    if demo:
        environment |= {
            "VS_DATABASE_URL": "sqlite:///var/demo.sqlite3",
            "VS_DATA_DIR": str(DEMO / "data"),
            "VS_SERVER_DIR": str(DEMO / "server"),
            "VS_MOD_LIST_REFRESH_INTERVAL": "15",
            "VS_SERVER_VERSIONS_REFRESH_INTERVAL": "20",
            "VS_GAME_SERVER_WATCH_INTERVAL": "5",
        }
    return environment


def _secret_key(path: Path = VAR / "secret_key") -> str:
    if not path.exists():
        # Set the mode before the content, so that other users can never read the key.
        path.touch(0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text().strip()


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return number


def _check_port(port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            stop(f"port {port} is not available ({error.strerror or error}); choose another: ./dev up --port {port + 1}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


def _manage(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(PYTHON), "manage.py", *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and "already taken" not in done.stderr:
        sys.stderr.write(done.stdout + done.stderr)
        stop(f"manage.py {arguments[0]} ended with {done.returncode}")
    return done


def _create_admin(environment: dict[str, str]) -> str | None:
    """Create the user `admin` if it is missing; its new password, which is stored nowhere else."""
    password = secrets.token_urlsafe(12)
    command = ["createsuperuser", "--noinput", "--username", "admin", "--email", ""]
    done = _manage(*command, environment=environment | {"DJANGO_SUPERUSER_PASSWORD": password})
    return None if done.returncode else password


def _start_standin(processes: Processes, environment: dict[str, str]) -> None:
    port = _free_port()
    command = ["-m", "vsadmin.game.standin", "--port", str(port), "--folder", str(DEMO)]
    processes.start_until_ready("stand-in", [str(PYTHON), *command], timeout=START_SECONDS)
    environment["VS_VERSIONS_URL"] = environment["VS_MODDB_URL"] = f"http://{LOOPBACK}:{port}"


def _start_site(processes: Processes, port: int) -> None:
    gunicorn = ["-m", "gunicorn", "--config", "gunicorn.conf.py", "--bind", f"{LOOPBACK}:{port}", "vsadmin.wsgi"]
    processes.start("web server", [str(PYTHON), *gunicorn])
    processes.start("scheduler", [str(PYTHON), "manage.py", "runscheduler"])


def _wait_until_it_answers(processes: Processes, port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while processes.all_well():
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/healthz", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            if time.monotonic() > deadline:
                say(f"the web server did not answer within {START_SECONDS} s")
                return False
            time.sleep(0.1)
    return False


def _print_addresses(port: int, password: str | None) -> None:
    base = f"http://{LOOPBACK}:{port}"
    known = "as printed at the first start; to change it: ./dev manage [--demo] changepassword admin"
    lines = [
        "",
        f"  admin     {base}/admin/",
        f"            user admin, password {password or known}",
        f"  API       {base}/api/v1alpha1/docs",
        f"  health    {base}/healthz",
        "",
        "  Ctrl-C stops everything.",
        "",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
