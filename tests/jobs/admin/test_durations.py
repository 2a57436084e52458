"""Durations as staff type them, as pages show them, and as distances from now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from jobs.admin.durations import distance_words, parse_duration, show_distance, show_duration, write_duration
from jobs.models import MAX_INTERVAL_SECONDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("15m", 900), ("4h", 14_400), ("1d 12h", 129_600), ("1h30m", 5400), ("2 hours 5 min", 7500), ("0", 0), (" 15 M ", 900), ("1w", 604_800)],
)
def test_a_typed_duration_is_parsed(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "code"),
    [("-1", "negative"), ("−5m", "negative"), ("1.5", "fraction"), ("1,5h", "fraction"), ("10000000000000", "too_long"), ("9" * 10_000, "too_long")]
    + [(text, "invalid") for text in ("soon", "", "5 fortnights", "m", "10^13", "5m!", "１５m x")],
)
def test_an_invalid_duration_is_refused_with_the_reason(text: str, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_duration(text)
    assert refused.value.code == code


@given(st.integers(0, MAX_INTERVAL_SECONDS))
def test_a_written_duration_is_parsed_as_the_same_number(seconds: int) -> None:
    assert parse_duration(write_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "0 s"),
        (0.031, "0.03 s"),
        (2.5, "2.5 s"),
        (12.4, "12 s"),
        (59.7, "1 min"),
        (250, "4 min 10 s"),
        (3_600, "1 h"),
        (4_350, "1 h 12 min"),
        (93_600, "26 h"),
    ],
)
def test_the_duration_of_a_run_is_shown_with_two_units(seconds: float | None, text: str) -> None:
    assert show_duration(seconds) == text


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "now"), (1, "in 1 s"), (119, "in 119 s"), (120, "in 2 min"), (-7_199, "119 min ago"), (-7_200, "2 h ago"), (172_799, "in 47 h"), (172_800, "in 2 days")],
)
def test_a_distance_has_one_unit(seconds: float, text: str) -> None:
    assert show_distance(NOW + timedelta(seconds=seconds), NOW) == text


@given(st.integers(-10_000_000, 10_000_000))
def test_the_browser_states_a_distance_as_the_server_does(seconds: int) -> None:
    words = distance_words()
    stated = words["now"]
    if seconds:
        size, word = next((size, word) for start, size, word in words["units"] if abs(seconds) >= start)
        stated = words["ago" if seconds < 0 else "in"] % {"time": word % {"n": abs(seconds) // size}}
    assert stated == show_distance(NOW + timedelta(seconds=seconds), NOW)


def test_a_distance_follows_the_language_of_the_page() -> None:
    with override("de"):
        assert show_distance(NOW + timedelta(days=5), NOW) == "in 5 Tagen"
