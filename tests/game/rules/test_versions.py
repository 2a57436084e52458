from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsadmin.game.rules.versions import BadVersion, Kind, Version, parse_game_version, parse_mod_version

RISING = [
    "1.4.9",
    "1.4.9.3",
    "1.5.0.3",
    "1.17.0-pre.1",
    "1.21.6",
    "1.22.0-dev.7",
    "1.22.0-pre.1",
    "1.22.0-pre.5",
    "1.22.0-rc.1",
    "1.22.0-rc.9",
    "1.22.0-rc.10",
    "1.22.0",
    "1.22.7",
    "1.22.10",
    "1.23.0-pre.1",
]
MIXED = RISING[1::2] + RISING[::2]
PARTS = st.integers(0, 65_535)
VERSIONS = st.builds(Version, PARTS, PARTS, PARTS, PARTS, st.sampled_from(Kind), st.integers(0, 65_535))


def test_game_versions_have_the_game_s_order() -> None:
    assert sorted(MIXED, key=parse_game_version) == RISING


def test_the_stored_key_sorts_as_the_versions_do() -> None:
    assert sorted(MIXED, key=lambda text: parse_game_version(text).sort_key) == RISING


def test_a_missing_patch_number_counts_as_zero() -> None:
    assert parse_game_version("1.17-pre.1") == parse_game_version("1.17.0-pre.1")


@pytest.mark.parametrize(
    "text", ["", "1", "v1.22.0", "1.22.0-beta.1", "1.22.0-rc", "1.22.0 ", "1.22.0\n", "١.٢.٣", "1.22.0-rc.1.2", "9" * 6 + ".0.0", "__proto__", "1.2.3.4.5"]
)
def test_an_invalid_game_version_raises_bad_version(text: str) -> None:
    with pytest.raises(BadVersion, match="expected something like"):
        parse_game_version(text)


@given(VERSIONS, VERSIONS)
def test_sort_key_and_comparison_agree(one: Version, other: Version) -> None:
    assert (one < other) == (one.sort_key < other.sort_key)
    assert (one == other) == (one.sort_key == other.sort_key)


@given(st.text(max_size=60))
def test_any_text_is_a_version_or_rejected(text: str) -> None:
    with contextlib.suppress(BadVersion):
        assert isinstance(parse_game_version(text), Version)
    assert isinstance(parse_mod_version(text), Version | None)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.4.9", "2.3.0"),
        ("2.2.9", "2.2.10"),
        ("2.3.0-rc.2", "2.3.0"),
        ("0.9.0-pre.3", "0.9.0"),
        ("1.0.0-beta.1", "1.0.0-rc.1"),
        ("1.0.0", "1.0.0-hotfix"),
        ("v1.9", "v1.10"),
        ("1.0.0rc1", "1.0.0"),
        ("1.0.0-dev.1", "1.0.0-pre.1"),
        ("1.2", "1.2.0.1"),
    ],
)
def test_mod_versions_in_many_spellings_are_ordered(lower: str, higher: str) -> None:
    one, other = parse_mod_version(lower), parse_mod_version(higher)
    assert one is not None
    assert other is not None
    assert one < other


def test_a_mod_version_without_a_number_is_none() -> None:
    assert parse_mod_version("latest") is None
    assert parse_mod_version("") is None
