from __future__ import annotations

import pytest

from vsadmin.game.rules.compatibility import ReleaseFacts, assess, fits
from vsadmin.game.rules.versions import parse_game_version

QUERN = [
    ReleaseFacts("1.4.9", ["1.20.12"]),
    ReleaseFacts("2.3.0", ["1.22.5", "1.22.6", "1.22.7"]),
    ReleaseFacts("2.3.0-rc.2", ["1.22.5"]),
    ReleaseFacts("2.2.10", ["1.22.0", "1.22.1"]),
    ReleaseFacts("2.2.9", ["1.22.0"]),
]
OVENS = [ReleaseFacts("0.9.0-pre.3", ["1.23.0-pre.1"]), ReleaseFacts("0.8.4", ["1.22.6"])]


@pytest.mark.parametrize(
    ("ticked", "fit"),
    [(["1.21.6", "1.22.6"], "compatible"), (["1.22.0"], "not_verified"), ([], "not_verified"), (["1.21.6"], "incompatible"), (["nonsense"], "not_verified")],
)
def test_the_ticked_versions_decide_compatibility(ticked: list[str], fit: str) -> None:
    assert fits(ticked, parse_game_version("1.22.6")) == fit


def test_the_latest_is_the_highest_version_and_not_the_last_upload() -> None:
    assessment = assess(QUERN, "2.2.10", "1.22.6")
    assert (assessment.latest, assessment.latest_compatible, assessment.update_available, assessment.compatibility) == ("2.3.0", "2.3.0", True, "not_verified")


def test_a_pre_release_is_offered_only_for_an_installed_pre_release() -> None:
    assert assess(OVENS, "0.8.4", "1.22.6").latest == "0.8.4"
    assert assess(OVENS, "0.9.0-pre.1", "1.23.0-pre.1").latest == "0.9.0-pre.3"
    assert assess(OVENS[:1], "0.1.0", "1.23.0-pre.1").latest == "0.9.0-pre.3"


def test_a_release_for_another_line_of_the_game_is_not_an_update() -> None:
    assessment = assess([ReleaseFacts("2.0.0", ["1.23.0"]), ReleaseFacts("1.0.0", ["1.22.6"])], "1.0.0", "1.22.6")
    assert (assessment.latest, assessment.latest_compatible, assessment.update_available) == ("2.0.0", "1.0.0", False)


def test_a_release_whose_file_is_lost_is_never_offered() -> None:
    assessment = assess([ReleaseFacts("1.2.0", [], has_file=False), ReleaseFacts("1.1.0", ["1.22.0", "1.21.6"])], "1.1.0", "1.22.6")
    assert (assessment.latest, assessment.latest_compatible, assessment.update_available) == ("1.1.0", "1.1.0", False)


def test_without_a_game_version_the_latest_release_decides_and_compatibility_is_unknown() -> None:
    assessment = assess(QUERN, "2.2.10", "")
    assert (assessment.latest_compatible, assessment.update_available, assessment.compatibility) == ("", True, "unknown")


def test_a_mod_that_requires_a_newer_game_is_incompatible_even_if_ticked() -> None:
    assert assess([ReleaseFacts("1.0.0", ["1.22.6"])], "1.0.0", "1.22.6", game_minimum="1.23.0").compatibility == "incompatible"


def test_an_installed_version_without_a_release_is_unknown() -> None:
    assert assess(QUERN, "9.9.9", "1.22.6").compatibility == "unknown"
    assert assess([], "1.0.0", "1.22.6").update_available is False
