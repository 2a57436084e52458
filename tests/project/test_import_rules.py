"""The import rules: `lint-imports` refuses what breaks them, and docs/architecture.md lists them as pyproject.toml does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from devtools.environment import REPOSITORY

pytestmark = pytest.mark.once

CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
DOCUMENTED = re.compile(r"^## Import rules$.*?^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, to which a test may add files."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for package in ("jobs", "health", "vsadmin"):
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("static", "templates", "locale", "__pycache__"))
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("path", "line", "complaint"),
    [
        ("jobs/newcomer.py", "", "jobs.newcomer"),
        ("jobs/monitoring/newcomer.py", "from jobs.engine import scheduler", "jobs.monitoring is not allowed to import jobs.engine"),
        ("jobs/schedule/newcomer.py", "from jobs.models import JobRun", "jobs.schedule is not allowed to import jobs.models"),
        ("jobs/admin/newcomer.py", "from vsadmin import urls", "jobs is not allowed to import vsadmin"),
    ],
    ids=["a file without a layer", "the engine from outside", "upwards", "the project from the app"],
)
def test_a_new_file_that_breaks_a_rule_is_refused(tree: Path, path: str, line: str, complaint: str) -> None:
    newcomer = tree / path
    newcomer.write_text(f"{line}\n")
    try:
        refused = lint(tree)
    finally:
        newcomer.unlink()
    assert refused.returncode == 1
    assert complaint in " ".join(refused.stdout.split())


def test_the_copy_itself_breaks_no_rule(tree: Path) -> None:
    allowed = lint(tree)
    assert allowed.returncode == 0, allowed.stdout


def test_the_documentation_lists_the_layers_of_jobs_as_the_contract_does() -> None:
    [layers] = [contract["layers"] for contract in CONTRACTS if contract.get("containers") == ["jobs"]]
    block = DOCUMENTED.search((REPOSITORY / "docs" / "architecture.md").read_text())
    assert block, 'docs/architecture.md has no ```text block under "## Import rules"'
    assert block[1].splitlines() == layers
