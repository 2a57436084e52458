"""The table on the terminal, and docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import psycopg

from tests.benchmarks.environment import REPOSITORY
from tests.benchmarks.result import Result

PAGE = REPOSITORY / "docs" / "benchmarks.md"
PACKAGES = ("Django", "APScheduler", "django-apscheduler", "psycopg", "gunicorn", "SQLAlchemy", "celery", "django-celery-beat", "procrastinate")
BEGIN, END = "<!-- measured: written by ./dev bench -->", "<!-- end of what ./dev bench writes -->"


def line(result: Result) -> str:
    verdict = result.verdict.replace("*", "") or "-"
    return f"{result.database:<11}{verdict:<7} {result.what}: {result.measured}" + (f"   target {result.target}" if result.target else "")


def write_page(found: Sequence[Result], seconds: float, postgres: str, page: Path = PAGE) -> None:
    """Put the new numbers between the two marks; what people wrote around them stays."""
    text = page.read_text() if page.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _old, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{_machine(seconds, postgres)}\n\n{_table(found)}\n\n{END}{after}")


def _machine(seconds: float, postgres: str) -> str:
    cores, memory = psutil.cpu_count(logical=True), psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return "\n".join(
        [
            f"Measured on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC in {seconds / 60:.0f} minutes by `./dev bench`, one after the other, on one machine:",
            "",
            f"- {_processor()}, {cores} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.release()}; load at the end (1, 5, 15 minutes): {load}",
            f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {_postgres(postgres)}",
            "- " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        ]
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((text.partition(":")[2].strip() for text in lines if text.startswith("model name")), platform.machine())


def _postgres(url: str) -> str:
    if not url:
        return "no PostgreSQL"
    with psycopg.connect(url) as connection:
        names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        values = {name: connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names}
    said = {name: value[0] for name, value in values.items() if value}
    return f"PostgreSQL {said['server_version']} ({', '.join(f'{name}={value}' for name, value in said.items() if name != 'server_version')})"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _table(found: Sequence[Result]) -> str:
    databases = list(dict.fromkeys(result.database for result in found))
    rows = [f"| {result.what} | {result.measured} | {result.target} | {result.verdict} |" for result in found]
    parts = []
    for database in databases:
        mine = [row for row, result in zip(rows, found, strict=True) if result.database == database]
        parts.append("\n".join([f"### {database}", "", "| | measured | target | |", "|---|---|---|---|", *mine]))
    return "\n\n".join(parts)
