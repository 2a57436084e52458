"""`./dev bench`: run the benchmarks on SQLite and on PostgreSQL, print the table, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.databases import Database, PostgreSQL, SQLite
from tests.benchmarks.environment import REPOSITORY, environment
from tests.benchmarks.one import NAMES
from tests.benchmarks.report import line, write_page
from tests.benchmarks.result import Result


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measure, side by side with what a user would pick instead.")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"only these of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="a few seconds each, with few rows: shows that it works, and nothing more")
    parser.add_argument("--no-peers", action="store_true", help="without the other schedulers")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="on this one only")
    parser.add_argument("--postgres", default=os.environ.get("VS_TEST_POSTGRES_URL", ""), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if unknown := set(wanted.only) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    flags = [*(["--quick"] if wanted.quick else []), *([] if wanted.no_peers else ["--peers"])]
    started = time.time()
    with tempfile.TemporaryDirectory(prefix="vsadmin-bench-") as folder:
        found = [result for database in _databases(Path(folder), wanted) for result in _measure(database, wanted.only or NAMES, Path(folder), flags)]
    if not wanted.quick and not wanted.only and wanted.database is None:
        write_page(found, time.time() - started, postgres=wanted.postgres)
    return 0


def _databases(folder: Path, wanted: argparse.Namespace) -> list[Database]:
    databases: list[Database] = []
    if wanted.database != "postgresql":
        databases.append(SQLite(folder))
    if wanted.postgres and wanted.database != "sqlite":
        databases.append(PostgreSQL(wanted.postgres))
    else:
        sys.stderr.write("bench: PostgreSQL is left out\n")
    return databases


def _measure(database: Database, names: list[str] | tuple[str, ...], folder: Path, flags: list[str]) -> list[Result]:
    found: list[Result] = []
    database.prepare()
    try:
        for name in names:
            found += measure_one(database, name, folder, flags)
    finally:
        database.remove()
    return found


def measure_one(database: Database, name: str, folder: Path, flags: list[str]) -> list[Result]:
    log = folder / "driver.log"
    with database.fresh() as url, log.open("wb") as stderr:
        command = [sys.executable, "-m", "tests.benchmarks.one", name, str(folder), *flags]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment(url), stdout=subprocess.PIPE, stderr=stderr, check=False)
    lines = done.stdout.decode().splitlines()
    if done.returncode or not lines:
        sys.stderr.write(log.read_text(errors="replace")[-3000:])
        found = [Result(name, "the benchmark itself failed", met=False, database=database.name)]
    else:
        found = [replace(Result.from_json(values), database=database.name) for values in json.loads(lines[-1])]
    sys.stdout.writelines(line(result) + "\n" for result in found)
    sys.stdout.flush()
    return found


if __name__ == "__main__":
    sys.exit(main())
