"""Rules for every file of the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from devtools.environment import REPOSITORY

pytestmark = pytest.mark.once

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
# Git keeps the history; a ticket number in the code tells a reader nothing.
TICKET = re.compile(r"\b(?:issue|story|ticket) #?\d+\b|(?<![&\w])#\d+\b(?![-\w.]*[;{\"'])", re.IGNORECASE)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", *patterns], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for line in listed.stdout.splitlines() if (path := REPOSITORY / line).is_file()]


LONGEST = 250
"""Lines of a file of code: a person reads as much at one sitting."""


def test_no_test_sleeps_outside_of_waiting() -> None:
    """`wait_until` polls, and `let_pass` demands a reason; benchmarks measure time, so they may sleep."""
    sleeping = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for path in tracked("tests/*.py")
        if "benchmarks" not in path.parts and path.name != "waiting.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    ]
    assert sleeping == []


def test_no_test_module_imports_from_another() -> None:
    """Shared fixtures and functions belong into a conftest or into tests/support."""
    importing = [
        f"{path.relative_to(REPOSITORY)}: {module}"
        for path in tracked("tests/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for module in _imported(node)
        if any(part.startswith("test_") for part in module.split("."))
    ]
    assert importing == []


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_no_file_of_code_has_more_than_250_lines() -> None:
    files = {
        path: len(path.read_text().splitlines())
        for path in tracked("jobs/*.py", "health/*.py", "vsadmin/*.py", "devtools/*.py", "tests/*.py")
        if "migrations" not in path.parts
    }
    assert {str(path.relative_to(REPOSITORY)): lines for path, lines in files.items() if lines > LONGEST} == {}


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    naming = [path.name for path in tracked("*") if str(REPOSITORY).encode() + b"/" in path.read_bytes()]
    assert naming == []


def test_no_python_file_names_a_ticket() -> None:
    naming = [f"{path.relative_to(REPOSITORY)}: {match.group()}" for path in tracked("*.py", "dev") for match in TICKET.finditer(path.read_text())]
    assert naming == []


def test_every_link_in_the_documentation_leads_to_a_file() -> None:
    dead = [
        f"{path.relative_to(REPOSITORY)}: {target}"
        for path in tracked("*.md")
        for target in LINK.findall(path.read_text())
        if not (path.parent / target).exists() and not (REPOSITORY / target.lstrip("/")).exists()
    ]
    assert dead == []


def test_every_python_folder_that_is_imported_has_an_init_file() -> None:
    folders = {path.parent for path in tracked("jobs/**/*.py", "health/**/*.py", "vsadmin/**/*.py", "devtools/**/*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
