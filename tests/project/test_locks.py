"""The files in requirements/ agree with pyproject.toml, and with each other."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from devtools.environment import LOCKS, REPOSITORY, UV_LOCK
from devtools.lock import FOREIGN, UV, problems, read_problems

pytestmark = pytest.mark.once

PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
RUNTIME = LOCKS["runtime"].read_text()
DEV = LOCKS["dev"].read_text()


def test_the_requirements_satisfy_pyproject() -> None:
    assert read_problems() == []


def test_django_stays_at_its_long_term_support_release() -> None:
    assert re.search(r"^django==5\.2\.", RUNTIME, re.MULTILINE)
    assert re.search(r"^django<5\.3\b", (REPOSITORY / "requirements" / "long-term.txt").read_text(), re.MULTILINE)


def test_uv_is_pinned_to_the_version_that_compiles_the_requirements() -> None:
    assert UV_LOCK.read_text().startswith(f"{UV} ")
    assert not FOREIGN.search(UV_LOCK.read_text())


@pytest.mark.parametrize(
    ("runtime", "dev", "complaint"),
    [
        (RUNTIME.replace("cronsim==", "cronsim-next=="), DEV, "requirements/runtime.txt: cronsim>=2.6 is wanted, nothing is locked"),
        (RUNTIME, DEV.replace("\npytest==", "\npytest==1."), "requirements/dev.txt: pytest>=8.3 is wanted, 1."),
        (RUNTIME, DEV.replace("\ngunicorn==", "\ngunicorn==99."), "gunicorn: {'"),
        (RUNTIME + "--index-url https://example.org/simple\n", DEV, "requirements/runtime.txt: names '--index-url'"),
        (RUNTIME, DEV + "# from /home/somebody/wheels\n", "requirements/dev.txt: names '/home/'"),
    ],
)
def test_each_disagreement_is_named(runtime: str, dev: str, complaint: str) -> None:
    assert any(line.startswith(complaint) for line in problems(PROJECT, runtime, dev))
