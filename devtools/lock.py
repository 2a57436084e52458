"""The lock files: compiled from pyproject.toml with the pinned uv, and checked against it."""

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
# What would tie the files to one machine or one registry.
FOREIGN = re.compile(r"https?://|file:|--(?:extra-)?index-url|--find-links|(?<![\w.-])/(?:home|root|work|tmp|opt|usr|Users)/")


def write_locks(arguments: list[str]) -> int:
    """Compile all lock files again; further arguments, such as `--upgrade`, go to uv."""
    prepare("dev")
    runtime, dev = (str(LOCKS[kind].name) for kind in ("runtime", "dev"))
    _compile("-", UV_LOCK.name, stdin=UV)
    _compile("pyproject.toml", runtime, *arguments)
    _compile("pyproject.toml", dev, "--group", "dev", "--constraints", runtime, *arguments)
    _compile("pyproject.toml", LOCKS["bench"].name, "--group", "bench", "--constraints", runtime, *arguments)
    return 0


def _compile(source: str, target: str, *options: str, stdin: str | None = None) -> None:
    command = [str(PYTHON), "-m", "uv", "pip", "compile", source, *OPTIONS, "--output-file", target, *options]
    done = subprocess.run(command, cwd=REPOSITORY, env=network_environment(), input=stdin, text=True, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        stop(f"{target} could not be compiled (the reason is above)")


def pins(lock: str) -> dict[str, set[str]]:
    """The versions that the text of a lock file pins, by normalised name (a marker may choose between several)."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(lock):
        found.setdefault(_normal(name), set()).add(version)
    return found


def problems(project: dict[str, Any], runtime: str, dev: str) -> list[str]:
    """What is wrong with the two lock files' texts, given the parsed pyproject.toml; a line for each."""
    wanted = {"runtime": project["project"]["dependencies"], "dev": project["project"]["dependencies"] + project["dependency-groups"]["dev"]}
    texts = {"runtime": runtime, "dev": dev}
    found = [f"{LOCKS[kind].name}: {line}" for kind in texts for line in _unsatisfied(wanted[kind], pins(texts[kind]))]
    found += [f"{LOCKS[kind].name}: names {match.group()!r}" for kind in texts for match in FOREIGN.finditer(texts[kind])]
    dev_pins = pins(dev)
    found += [f"{name}: {versions} at run time, {dev_pins.get(name)} in the tests" for name, versions in pins(runtime).items() if dev_pins.get(name) != versions]
    return found


def _unsatisfied(requirements: list[str], pinned: dict[str, set[str]]) -> list[str]:
    from packaging.requirements import Requirement  # it is in .venv only, where the check runs

    found = []
    for requirement in map(Requirement, requirements):
        versions = pinned.get(_normal(requirement.name), set())
        if not versions or not all(requirement.specifier.contains(version, prereleases=True) for version in versions):
            found.append(f"{requirement} is wanted, {', '.join(sorted(versions)) or 'nothing'} is locked")
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_problems(folder: Path = REPOSITORY) -> list[str]:
    """What is wrong with the lock files of the repository."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    bench = LOCKS["bench"].read_text()
    found = problems(project, LOCKS["runtime"].read_text(), LOCKS["dev"].read_text())
    found += [f"{LOCKS['bench'].name}: {line}" for line in _unsatisfied(project["project"]["dependencies"] + project["dependency-groups"]["bench"], pins(bench))]
    return found + [f"{LOCKS['bench'].name}: names {match.group()!r}" for match in FOREIGN.finditer(bench)]


if __name__ == "__main__":
    found_now = read_problems()
    sys.stdout.writelines(f"{line}\n" for line in found_now)
    sys.exit(1 if found_now else 0)
