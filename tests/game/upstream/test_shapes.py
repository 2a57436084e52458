"""Any JSON from upstream is accepted, rejected item by item, or rejected with an UpstreamError; no other error escapes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsadmin.game.exceptions import UpstreamError, UpstreamUnexpected, UpstreamUnknownMod
from vsadmin.game.standin.library import Library
from vsadmin.game.upstream.client import parse_json
from vsadmin.game.upstream.feed import parse_feed
from vsadmin.game.upstream.moddb import parse_mod, parse_mod_list
from vsadmin.game.upstream.rejections import RejectedItems

URL = "https://example.invalid/x"
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("2026-11-20 22:14:03") | st.just("0001-01-01T00:00:00+23:59")
WORDS = [
    "1.22.7",
    "1.22.x",
    "linuxserver",
    "server",
    "filename",
    "filesize",
    "md5",
    "urls",
    "cdn",
    "local",
    "latest",
    "statuscode",
    "mods",
    "mod",
    "modid",
    "name",
    "summary",
    "modidstrs",
    "tags",
    "side",
    "lastreleased",
    "releases",
    "releaseid",
    "modversion",
    "mainfile",
    "changelog",
    "text",
]
KEYS = st.sampled_from(WORDS) | st.text(max_size=5)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=30)


def deep() -> Any:
    """A value nested almost as deeply as the JSON parser accepts."""
    value: Any = []
    for _ in range(900):
        value = [value]
    return value


@given(JSON)
def test_any_json_in_place_of_a_feed(data: Any) -> None:
    with contextlib.suppress(UpstreamError):
        parse_feed(URL, data, RejectedItems())


@given(JSON, st.lists(JSON, max_size=4))
def test_any_json_in_place_of_the_mod_list(data: Any, mods: list[Any]) -> None:
    for answer in (data, {"statuscode": "200", "mods": mods}):
        with contextlib.suppress(UpstreamError):
            assert parse_mod_list(URL, answer, RejectedItems())


@given(JSON, st.dictionaries(st.sampled_from(WORDS), JSON))
def test_any_json_in_place_of_a_mod(data: Any, mod: dict[str, Any]) -> None:
    for answer in (data, {"statuscode": "200", "mod": {"modid": 1} | mod}):
        with contextlib.suppress(UpstreamError):
            parse_mod(URL, answer, RejectedItems())


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_in_place_of_json(body: bytes) -> None:
    with contextlib.suppress(UpstreamError):
        assert parse_json(URL, body) is not None


@pytest.mark.parametrize("field", ["text", "homepageurl", "author", "tags", "lastreleased", "side", "downloads"])
def test_deep_nesting_in_a_field_raises_no_other_error(field: str) -> None:
    rejected = RejectedItems()
    with contextlib.suppress(UpstreamUnexpected):
        parse_mod(URL, {"mod": {"modid": 1, "releases": [], field: deep()}, "statuscode": "200"}, rejected)
    with contextlib.suppress(UpstreamUnexpected):
        parse_mod_list(URL, {"mods": [{"modid": 1, "name": "One", field: deep()}], "statuscode": "200"}, rejected)


@pytest.mark.parametrize(
    ("code", "error"), [("404", UpstreamUnknownMod), ("400", UpstreamUnexpected), ("410", UpstreamUnexpected), (500, UpstreamUnexpected), (deep(), UpstreamUnexpected)]
)
def test_an_error_inside_an_http_200_is_an_error(code: object, error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        parse_mod(URL, {"statuscode": code}, RejectedItems())


def test_no_item_of_the_samples_is_rejected() -> None:
    library, rejected = Library(), RejectedItems()
    assert len(parse_mod_list(URL, {"statuscode": "200", "mods": library.mods}, rejected)) == 40
    assert len(parse_feed(URL, library.stable, rejected)) == 17
    for page in library.pages.values():
        _, releases = parse_mod(URL, {"statuscode": "200", "mod": page}, rejected)
        assert len(releases) == len(page["releases"])
    assert rejected.count == 0
