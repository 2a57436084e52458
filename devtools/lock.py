"""The files in requirements/, with every version and hash: compiled from pyproject.toml by the pinned uv, and checked against it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from devtools.environment import LOCKS, PYTHON, REPOSITORY, UV_LOCK, network_environment, prepare
from devtools.say import stop

UV = "uv==0.13.8"
OPTIONS = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--quiet"]
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;]+)", re.MULTILINE)
# Text that ties the files to one machine or one registry.
FOREIGN = re.compile(r"https?://|file:|--(?:extra-)?index-url|--find-links|(?<![\w.-])/(?:home|root|work|tmp|opt|usr|Users)/")


def write_locks(arguments: list[str]) -> int:
    """Compile the files in requirements/; further arguments, such as `--upgrade`, go to uv."""
    prepare("dev")
    runtime, dev, bench = (_named(LOCKS[kind]) for kind in ("runtime", "dev", "bench"))
    _compile("-", _named(UV_LOCK), stdin=UV)
    _compile("pyproject.toml", runtime, "--constraints", "requirements/long-term.txt", *arguments)
    _compile("pyproject.toml", dev, "--group", "dev", "--constraints", runtime, *arguments)
    _compile("pyproject.toml", bench, "--group", "bench", "--constraints", runtime, *arguments)
    return 0


def _named(path: Path) -> str:
    """As a person names it, and as uv writes it into the files: relative to the repository."""
    return str(path.relative_to(REPOSITORY))


def _compile(source: str, target: str, *options: str, stdin: str | None = None) -> None:
    command = [str(PYTHON), "-m", "uv", "pip", "compile", source, *OPTIONS, "--output-file", target, *options]
    done = subprocess.run(command, cwd=REPOSITORY, env=network_environment(), input=stdin, text=True, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        stop(f"could not compile {target} (see above)")


def pins(lock: str) -> dict[str, set[str]]:
    """The pinned versions by normalised package name; a package has several when markers choose between them."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(lock):
        found.setdefault(_normal(name), set()).add(version)
    return found


def problems(project: dict[str, Any], runtime: str, dev: str) -> list[str]:
    """Disagreements between pyproject.toml and the texts of the two files, one line each."""
    wanted = {"runtime": project["project"]["dependencies"], "dev": project["project"]["dependencies"] + project["dependency-groups"]["dev"]}
    texts = {"runtime": runtime, "dev": dev}
    found = [f"{_named(LOCKS[kind])}: {line}" for kind in texts for line in _unsatisfied(wanted[kind], pins(texts[kind]))]
    found += [f"{_named(LOCKS[kind])}: names {match.group()!r}" for kind in texts for match in FOREIGN.finditer(texts[kind])]
    dev_pins = pins(dev)
    found += [f"{name}: {versions} at run time, {dev_pins.get(name)} in the tests" for name, versions in pins(runtime).items() if dev_pins.get(name) != versions]
    return found


def _unsatisfied(requirements: list[str], pinned: dict[str, set[str]]) -> list[str]:
    from packaging.requirements import Requirement  # installed only in .venv, where the check runs

    found = []
    for requirement in map(Requirement, requirements):
        versions = pinned.get(_normal(requirement.name), set())
        if not versions or not all(requirement.specifier.contains(version, prereleases=True) for version in versions):
            found.append(f"{requirement} is wanted, {', '.join(sorted(versions)) or 'nothing'} is locked")
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_problems(folder: Path = REPOSITORY) -> list[str]:
    """Disagreements between pyproject.toml and the files in requirements/, one line each."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    bench, bench_name = LOCKS["bench"].read_text(), _named(LOCKS["bench"])
    found = problems(project, LOCKS["runtime"].read_text(), LOCKS["dev"].read_text())
    found += [f"{bench_name}: {line}" for line in _unsatisfied(project["project"]["dependencies"] + project["dependency-groups"]["bench"], pins(bench))]
    return found + [f"{bench_name}: names {match.group()!r}" for match in FOREIGN.finditer(bench)]


if __name__ == "__main__":
    found_now = read_problems()
    sys.stdout.writelines(f"{line}\n" for line in found_now)
    sys.exit(1 if found_now else 0)
