"""Lengths of time as people write them."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from jobs.admin.durations import parse_duration, write_duration
from jobs.models import MAX_INTERVAL_SECONDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("15m", 900), ("4h", 14_400), ("1d 12h", 129_600), ("1h30m", 5400), ("2 hours 5 min", 7500), ("0", 0), (" 15 M ", 900), ("1w", 604_800)],
)
def test_what_people_write_is_understood(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "code"),
    [("-1", "negative"), ("−5m", "negative"), ("1.5", "fraction"), ("1,5h", "fraction"), ("10000000000000", "too_long"), ("9" * 10_000, "too_long")]
    + [(text, "invalid") for text in ("soon", "", "5 fortnights", "m", "10^13", "5m!", "１５m x")],
)
def test_what_makes_no_sense_is_refused_with_advice(text: str, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_duration(text)
    assert refused.value.code == code


@given(st.integers(0, MAX_INTERVAL_SECONDS))
def test_what_is_shown_is_read_back_as_the_same(seconds: int) -> None:
    assert parse_duration(write_duration(seconds)) == seconds
