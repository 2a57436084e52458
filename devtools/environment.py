"""The virtual environment: created once, and synchronised when a file in requirements/ has changed."""

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
UV_LOCK = REPOSITORY / "requirements" / "uv.txt"
LOCKS = {kind: REPOSITORY / "requirements" / f"{kind}.txt" for kind in ("runtime", "dev", "bench")}
BENCH_VENV = REPOSITORY / ".venv-bench"
BENCH_PYTHON = BENCH_VENV / "bin" / "python"

OTHER_DJANGO_VENV = REPOSITORY / ".venv-django"
OTHER_DJANGO_PYTHON = OTHER_DJANGO_VENV / "bin" / "python"

COMPILE = ("--compile-bytecode",)
"""By default Python compiles at the first import; without write permission it does so at every import, and a scheduler takes three times as long to start."""


def prepare(kind: str) -> None:
    """Install the packages of `kind` (`runtime` or `dev`) into `.venv`; returns at once when they are installed."""
    synced = STAMP.read_text() if STAMP.exists() and PYTHON.exists() else ""
    if synced.startswith("dev"):  # it contains the runtime packages, in the same versions
        kind = "dev"
    wanted = f"{kind} {_digest(kind)}"
    if synced == wanted:
        return
    _make_venv()
    say(f"installing the packages of requirements/{LOCKS[kind].name}")
    _install("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement", str(UV_LOCK))
    _sync(PYTHON, kind)
    STAMP.write_text(wanted)


def prepare_bench() -> None:
    """Install the peers into `.venv-bench`, so that their packages never get into `.venv`."""
    prepare("dev")
    stamp = BENCH_VENV / ".synced"
    wanted = f"bench {_digest('bench')}"
    if BENCH_PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"installing the packages of requirements/{LOCKS['bench'].name}")
    _install("-m", "uv", "venv", "--quiet", "--clear", "--python", str(PYTHON), str(BENCH_VENV))
    _sync(BENCH_PYTHON, "bench")
    stamp.write_text(wanted)


def prepare_other_django(version: str) -> None:
    """Install the packages of the tests into `.venv-django`, but the newest Django of this major version; on the newest Python that there is."""
    prepare("dev")
    newest = newest_python() or stop("no Python 3.12 or later on this machine")
    say(f"installing the packages of requirements/{LOCKS['dev'].name} with the newest Django {version} for {newest}")
    _install("-m", "uv", "venv", "--quiet", "--clear", "--python", newest, str(OTHER_DJANGO_VENV))
    _sync(OTHER_DJANGO_PYTHON, "dev")
    wanted = f"django>={version},<{int(version) + 1}"
    _install("-m", "uv", "pip", "install", "--quiet", *COMPILE, "--python", str(OTHER_DJANGO_PYTHON), "--upgrade-package", "django", wanted)


def newest_python() -> str | None:
    """The newest interpreter of this machine that a new Django supports, on the PATH or of pyenv; None if there is none."""
    for minor in (14, 13, 12):
        found = [shutil.which(f"python3.{minor}"), *map(str, sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"), reverse=True))]
        for python in filter(None, found):
            if not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:  # pyenv's shim fails when its version is not chosen
                return python
    return None


def _sync(python: Path, kind: str) -> None:
    _install("-m", "uv", "pip", "sync", "--quiet", "--require-hashes", *COMPILE, "--python", str(python), str(LOCKS[kind]))


def _digest(kind: str) -> str:
    # Another interpreter needs other wheels.
    parts = [sys.version.encode(), *map(str.encode, COMPILE), UV_LOCK.read_bytes(), LOCKS[kind].read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _make_venv() -> None:
    if _python_works():
        return
    if importlib.util.find_spec("ensurepip") is None:
        stop("this Python has no venv module; on Debian: apt install python3-venv")
    say("creating .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    # Debian ships the venv module without its wheels until python3-venv is installed; the command prints that itself.
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        stop("could not create a virtual environment; on Debian: apt install python3-venv")


def _python_works() -> bool:
    if not PYTHON.exists():
        return False
    asked = subprocess.run([str(PYTHON), "-c", "import pip, sys; print(sys.version)"], capture_output=True, text=True, check=False)
    return asked.returncode == 0 and asked.stdout.strip() == sys.version.strip()


def network_environment() -> dict[str, str]:
    """Let uv trust the system's certificates, as pip does: some networks have their own authority."""
    return {"UV_SYSTEM_CERTS": "1"} | os.environ


def _install(*arguments: str) -> None:
    if subprocess.run([str(PYTHON), *arguments], cwd=REPOSITORY, env=network_environment(), check=False).returncode:
        stop("could not install the packages (see above); the first start needs access to the package index")
