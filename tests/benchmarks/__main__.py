"""`./dev bench`: run the benchmarks on SQLite and on PostgreSQL, print the table, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.against import compare
from tests.benchmarks.databases import Database, PostgreSQL, SQLite
from tests.benchmarks.environment import REPOSITORY
from tests.benchmarks.measure import measure
from tests.benchmarks.one import NAMES
from tests.benchmarks.report import line, write_page
from tests.benchmarks.result import Result


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measure vsadmin and other schedulers side by side.")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"measure only some of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="a few seconds and a few rows each: checks that the benchmarks work, the numbers mean nothing")
    parser.add_argument("--no-peers", action="store_true", help="leave out the other schedulers")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="measure on one database only")
    parser.add_argument("--against", type=Path, metavar="DIR", help="measure the checkout in DIR and this one in turns, and print the ratios")
    parser.add_argument("--rounds", type=int, default=3, help="with --against: measurements of each checkout (default: 3)")
    parser.add_argument("--postgres", default=os.environ.get("VS_TEST_POSTGRES_URL", ""), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if unknown := set(wanted.only) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(NAMES)}")
    if wanted.against and not (wanted.against / "tests" / "benchmarks" / "one.py").is_file():
        parser.error(f"--against: {wanted.against} is no checkout with tests/benchmarks/one.py")
    with tempfile.TemporaryDirectory(prefix="vsadmin-bench-") as folder:
        if wanted.against:
            _compare(wanted, Path(folder))
        else:
            _measure(wanted, Path(folder))
    return 0


def _measure(wanted: argparse.Namespace, folder: Path) -> None:
    flags = [*(["--quick"] if wanted.quick else []), *([] if wanted.no_peers else ["--peers"])]
    started, found = time.time(), list[Result]()
    for database in _databases(folder, wanted, REPOSITORY):
        with database.prepared():
            for name in wanted.only or NAMES:
                results = measure(database, name, folder, flags)
                found += results
                _print(line(result) for result in results)
    if not wanted.quick and not wanted.only and wanted.database is None:
        write_page(found, time.time() - started, postgres=wanted.postgres)


def _compare(wanted: argparse.Namespace, folder: Path) -> None:
    flags = ["--quick"] if wanted.quick else []
    theirs, ours = (_databases(folder, wanted, tree) for tree in (wanted.against.resolve(), REPOSITORY))
    for pair in zip(theirs, ours, strict=True):
        with pair[0].prepared(), pair[1].prepared():
            for name in wanted.only or NAMES:
                _print(compare(pair, name, wanted.rounds, folder, flags))


def _databases(folder: Path, wanted: argparse.Namespace, tree: Path) -> list[Database]:
    databases: list[Database] = []
    if wanted.database != "postgresql":
        databases.append(SQLite(folder, tree))
    if wanted.postgres and wanted.database != "sqlite":
        databases.append(PostgreSQL(wanted.postgres, tree))
    else:
        sys.stderr.write("bench: without PostgreSQL\n")
    return databases


def _print(lines: Iterable[str]) -> None:
    for text in lines:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
