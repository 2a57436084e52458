from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsadmin.game.disk.lenient_json import decode, loads
from vsadmin.game.exceptions import LenientJsonError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_strict_json_has_the_same_value(value: Any) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False, indent=2)) == value


@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4))
def test_trailing_commas_comments_and_a_byte_order_mark_change_nothing(value: dict[str, Any]) -> None:
    members = "".join(f"{json.dumps(key)}: {json.dumps(item)}, /* note, with }} */ // and more\n" for key, item in value.items())
    assert loads("\ufeff{" + members + "}") == value


@given(st.text() | st.text(alphabet="{}[]:,'\"\\/*-+.0123456789eExutrfalsn \n"))
def test_any_text_is_a_value_or_raises_lenient_json_error(text: str) -> None:
    with contextlib.suppress(LenientJsonError):
        loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 'it\\'s \"so\"'}", {"a": 'it\'s "so"'}),
        ("{a-b: 1, $c: TRUE, d: undefined}", {"a-b": 1, "$c": True, "d": None}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ('{"path": "C:\\Mods"}', {"path": "C:Mods"}),
        ("[0x1F, +1, .5, 1., 007]", [31, 1, 0.5, 1.0, 7]),
        ('{"url": "https://example.invalid/*not a comment*/"}', {"url": "https://example.invalid/*not a comment*/"}),
    ],
)
def test_extensions_of_json_are_parsed(text: str, value: object) -> None:
    assert loads(text) == value


@pytest.mark.parametrize("text", ["", "{", '{"a": ', "[1, 2", "{'a}", '{"a": "\\ud8"}', "9" * 5000, "/* never ends", "@"])
def test_invalid_text_is_rejected(text: str) -> None:
    with pytest.raises(LenientJsonError):
        loads(text)


def test_a_hundred_thousand_brackets_are_rejected() -> None:
    with pytest.raises(LenientJsonError, match="nested too deeply"):
        loads("[" * 100_000)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_byte_order_mark_names_the_encoding(encoding: str) -> None:
    assert decode('{"name": "石窯"}'.encode(encoding)) == '{"name": "石窯"}'
