"""docs/game.md agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY
from vsadmin.game import exceptions
from vsadmin.game.standin.switches import MODES

PAGE = (REPOSITORY / "docs" / "game.md").read_text(encoding="utf-8")


def sources() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in Path(REPOSITORY / "vsadmin" / "game").rglob("*.py"))


@pytest.mark.once
def test_every_log_event_is_listed_and_every_listed_one_exists() -> None:
    logged = set(re.findall(r'\blog\.\w+\(\s*"(\w+)"', sources()))
    listed = set(re.findall(r"`(\w+)`", PAGE.split("## Log events")[1].split("##")[0]))
    assert logged == listed


@pytest.mark.once
def test_every_upstream_error_is_listed() -> None:
    listed = set(re.findall(r"`(Upstream\w+)`", PAGE))
    assert listed == {name for name in vars(exceptions) if name.startswith("Upstream")} - {"UpstreamError"}


@pytest.mark.once
def test_every_mode_of_the_stand_in_is_listed() -> None:
    assert set(re.findall(r"`(\w+)`", PAGE.split("Modes: ")[1].split("without")[0])) == set(MODES)
