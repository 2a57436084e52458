"""Each thing that an upstream can do wrong is one typed error, within the deadline."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.http import http_date

from tests.game.support import hostile_server as servers
from tests.game.support.hostile_server import Script, in_turn, says
from tests.game.support.run_job import SHORT_BUDGET
from vsadmin import __version__
from vsadmin.game import exceptions
from vsadmin.game.standin.server import StandIn
from vsadmin.game.upstream.client import FEED_BYTES, MAX_CONCURRENT_REQUESTS, FetchedJson, Upstream, retry_after_seconds
from vsadmin.game.upstream.conditional import Validators

Start = Callable[[Script], str]


def fetch(url: str, path: str = "stable.json", max_bytes: int = FEED_BYTES, known: Validators | None = None) -> FetchedJson:
    async def go() -> FetchedJson:
        async with Upstream(url, SHORT_BUDGET) as upstream:
            return await upstream.get_json(path, max_bytes, known or Validators())

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (servers.bomb, exceptions.UpstreamTooLarge, "more than 2,097,152 bytes"),
        (servers.endless, exceptions.UpstreamTooLarge, "more than 2,097,152 bytes"),
        (servers.drip, exceptions.UpstreamTimeout, f"no complete answer within {SHORT_BUDGET.deadline:g} s"),
        (servers.hang, exceptions.UpstreamTimeout, "nothing came for too long"),
        (servers.reset, exceptions.UpstreamUnreachable, "broken"),
        (servers.cut_short, exceptions.UpstreamUnreachable, "broken"),
        (says("HTTP/1.1 200 OK", b"  <!DOCTYPE html><title>Maintenance</title>"), exceptions.UpstreamNotJson, "answered HTML"),
        (says("HTTP/1.1 200 OK", b""), exceptions.UpstreamNotJson, "answered nothing"),
        (says("HTTP/1.1 200 OK", b"null"), exceptions.UpstreamNotJson, "answered null"),
        (says("HTTP/1.1 200 OK", b'{"1.22.7": {"linux'), exceptions.UpstreamNotJson, "no complete JSON"),
        (says("HTTP/1.1 200 OK", b"[" * 200_000), exceptions.UpstreamNotJson, "nested too deeply"),
        (says("HTTP/1.1 200 OK", b"9" * 5000), exceptions.UpstreamNotJson, "no complete JSON"),
        (says("HTTP/1.1 200 OK", b'"\xff\xfe"'), exceptions.UpstreamNotJson, "no complete JSON"),
        (says("HTTP/1.1 200 OK\nContent-Encoding: gzip", b"this is no gzip"), exceptions.UpstreamUnreachable, "DecodingError"),
        (says("HTTP/1.1 503 Service Unavailable\nRetry-After: 3600", b"<h1>read-only</h1>"), exceptions.UpstreamReadOnly, "HTTP 503"),
        (says("HTTP/1.1 500 Oops"), exceptions.UpstreamStatus, "HTTP 500"),
        (says("HTTP/1.1 404 Not Found"), exceptions.UpstreamStatus, "HTTP 404"),
        (says("HTTP/1.1 304 Not Modified"), exceptions.UpstreamStatus, "HTTP 304"),
        (says("HTTP/1.1 302 Found\nLocation: https://example.invalid/feed"), exceptions.UpstreamRedirected, "another host"),
        (says("HTTP/1.1 302 Found\nLocation: /again"), exceptions.UpstreamRedirected, "more than 3 redirects"),
        (says("NOT HTTP AT ALL"), exceptions.UpstreamUnreachable, "broken"),
    ],
)
def test_each_misbehaviour_is_a_clear_error_in_time(hostile: Start, script: Script, error: type[exceptions.UpstreamError], message: str) -> None:
    url = hostile(script)
    started = time.monotonic()
    with pytest.raises(error, match=message) as caught:
        fetch(url)
    assert type(caught.value) is error
    assert str(caught.value).startswith(url)
    assert time.monotonic() - started < SHORT_BUDGET.deadline + 5


def test_nobody_there_is_an_error_too() -> None:
    with pytest.raises(exceptions.UpstreamUnreachable, match="no connection"):
        fetch("http://127.0.0.1:9")


def test_a_passing_failure_is_tried_again(hostile: Start) -> None:
    assert fetch(hostile(in_turn(says("HTTP/1.1 503 Service Unavailable\nRetry-After: 0"), says("HTTP/1.1 200 OK", b"{}")))).data == {}


def test_a_lasting_failure_is_not_tried_again(hostile: Start) -> None:
    asked: list[int] = []

    def script(connection: Any, over: Any) -> None:
        asked.append(1)
        says("HTTP/1.1 404 Not Found")(connection, over)

    with pytest.raises(exceptions.UpstreamStatus):
        fetch(hostile(script))
    assert len(asked) == 1


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(hostile: Start) -> None:
    started = time.monotonic()
    with pytest.raises(exceptions.UpstreamReadOnly):
        fetch(hostile(says("HTTP/1.1 503 Service Unavailable\nRetry-After: 3600")))
    assert time.monotonic() - started < SHORT_BUDGET.deadline


def test_a_redirect_on_the_same_host_is_followed(hostile: Start) -> None:
    assert fetch(hostile(in_turn(says("HTTP/1.1 302 Found\nLocation: /moved.json"), says("HTTP/1.1 200 OK", b'{"moved": 1}')))).data == {"moved": 1}


def test_unchanged_data_does_not_travel_again(standin: StandIn) -> None:
    first = fetch(standin.url)
    again = fetch(standin.url, known=first.validators)
    assert first.validators.etag
    assert not first.is_unchanged
    assert again.is_unchanged
    assert again.validators == first.validators


def test_it_says_who_asks(standin: StandIn) -> None:
    fetch(standin.url)
    assert standin.switches.agents[-1].startswith(f"vsadmin/{__version__} (")
    assert "contact" in standin.switches.agents[-1]


def test_no_proxy_of_the_environment_comes_between(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(standin.url).data


def test_at_most_four_requests_are_out_at_a_time(hostile: Start) -> None:
    out: list[int] = []
    highest: list[int] = []

    def script(connection: Any, over: Any) -> None:
        out.append(1)
        highest.append(len(out))
        over.wait(0.05)
        out.pop()
        says("HTTP/1.1 200 OK", b"{}")(connection, over)

    async def go(url: str) -> None:
        async with Upstream(url, SHORT_BUDGET) as upstream:
            await asyncio.gather(*(upstream.get_json("x", 10) for _ in range(20)))

    asyncio.run(go(hostile(script)))
    assert max(highest) == MAX_CONCURRENT_REQUESTS


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("²", None), ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0)])
def test_retry_after_is_read_as_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds


def test_retry_after_as_a_date_counts_from_now() -> None:
    in_a_minute = http_date((datetime.now(UTC) + timedelta(seconds=60)).timestamp())
    assert 55 < (retry_after_seconds(in_a_minute) or 0) <= 60


def test_the_caps_are_counted_after_decompression_and_not_before(hostile: Start) -> None:
    body = json.dumps({"1.22.7": {}}).encode()
    assert fetch(hostile(says("HTTP/1.1 200 OK", body)), max_bytes=len(body)).data == {"1.22.7": {}}
    with pytest.raises(exceptions.UpstreamTooLarge):
        fetch(hostile(says("HTTP/1.1 200 OK", body)), max_bytes=len(body) - 1)
