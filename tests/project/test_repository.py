"""What holds for every file of the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from devtools.environment import REPOSITORY

pytestmark = pytest.mark.once

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
# The history of a project is kept elsewhere; a number in the code is a riddle to whoever reads it.
TICKET = re.compile(r"\b(?:issue|story|ticket) #?\d+\b|(?<![&\w])#\d+\b(?![-\w.]*[;{\"'])", re.IGNORECASE)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", *patterns], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for line in listed.stdout.splitlines() if (path := REPOSITORY / line).is_file()]


def test_only_wait_until_sleeps() -> None:
    sleeping = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for path in tracked("tests/**/test_*.py", "tests/test_*.py", "tests/**/conftest.py", "tests/conftest.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    ]
    assert sleeping == []


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
