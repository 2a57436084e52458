"""The virtual environment: made once, brought up to date whenever a lock file has changed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from devtools.say import say, stop

REPOSITORY = Path(__file__).resolve().parent.parent
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".synced"
UV_LOCK = REPOSITORY / "requirements-uv.lock"
LOCKS = {"runtime": REPOSITORY / "requirements.lock", "dev": REPOSITORY / "requirements-dev.lock", "bench": REPOSITORY / "requirements-bench.lock"}
BENCH_VENV = REPOSITORY / ".venv-bench"
BENCH_PYTHON = BENCH_VENV / "bin" / "python"

COMPILE = ("--compile-bytecode",)
"""uv leaves that to the first import, and where nothing may be written then, to each: a scheduler's start takes three times as long."""


def prepare(kind: str) -> None:
    """Make `.venv` hold what the lock file of `kind` (`runtime` or `dev`) says; quick when it does already."""
    synced = STAMP.read_text() if STAMP.exists() and PYTHON.exists() else ""
    if synced.startswith("dev"):  # it holds everything that the runtime needs, in the same versions
        kind = "dev"
    wanted = f"{kind} {_digest(kind)}"
    if synced == wanted:
        return
    _make_venv()
    say(f"installing the packages of {LOCKS[kind].name}")
    _install("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement", str(UV_LOCK))
    _sync(PYTHON, kind)
    STAMP.write_text(wanted)


def prepare_bench() -> None:
    """Make `.venv-bench` hold what we are measured beside; those packages must not get into `.venv`."""
    prepare("dev")
    stamp = BENCH_VENV / ".synced"
    wanted = f"bench {_digest('bench')}"
    if BENCH_PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"installing the packages of {LOCKS['bench'].name}")
    _install("-m", "uv", "venv", "--quiet", "--clear", "--python", str(PYTHON), str(BENCH_VENV))
    _sync(BENCH_PYTHON, "bench")
    stamp.write_text(wanted)


def _sync(python: Path, kind: str) -> None:
    _install("-m", "uv", "pip", "sync", "--quiet", "--require-hashes", *COMPILE, "--python", str(python), str(LOCKS[kind]))


def _digest(kind: str) -> str:
    # The interpreter counts too: another one needs other wheels.
    parts = [sys.version.encode(), *map(str.encode, COMPILE), UV_LOCK.read_bytes(), LOCKS[kind].read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _make_venv() -> None:
    if _python_works():
        return
    if importlib.util.find_spec("ensurepip") is None:
        stop("this python has no venv module; on Debian: apt install python3-venv")
    say("making .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    # Debian keeps a venv module without its wheels until python3-venv is installed; it says so itself.
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        stop("no virtual environment could be made; on Debian: apt install python3-venv")


def _python_works() -> bool:
    if not PYTHON.exists():
        return False
    asked = subprocess.run([str(PYTHON), "-c", "import pip, sys; print(sys.version)"], capture_output=True, text=True, check=False)
    return asked.returncode == 0 and asked.stdout.strip() == sys.version.strip()


def network_environment() -> dict[str, str]:
    """Let uv trust the machine's own certificates, as pip does: some networks have an authority of their own."""
    return {"UV_SYSTEM_CERTS": "1"} | os.environ


def _install(*arguments: str) -> None:
    if subprocess.run([str(PYTHON), *arguments], cwd=REPOSITORY, env=network_environment(), check=False).returncode:
        stop("the packages could not be installed (the reason is above); the first start needs network to the package index")
