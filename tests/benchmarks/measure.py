"""Run one benchmark in a process of its own, on a fresh database, with the code of the database's tree."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.databases import Database
from tests.benchmarks.environment import environment
from tests.benchmarks.result import Result

FAILED = "the benchmark itself failed"


def measure(database: Database, name: str, folder: Path, flags: Sequence[str]) -> list[Result]:
    """The results of `tests.benchmarks.one NAME`; one result that says FAILED if the process failed."""
    log = folder / "driver.log"
    with database.fresh() as url, log.open("wb") as stderr:
        command = [sys.executable, "-m", "tests.benchmarks.one", name, str(folder), *flags]
        done = subprocess.run(command, cwd=database.tree, env=environment(url, database.tree), stdout=subprocess.PIPE, stderr=stderr, check=False)
    lines = done.stdout.decode().splitlines()
    if done.returncode or not lines:
        sys.stderr.write(log.read_text(errors="replace")[-3000:])
        return [Result(name, FAILED, met=False, database=database.name)]
    return [replace(Result.from_json(values), database=database.name) for values in json.loads(lines[-1])]
