"""Each fault of an upstream service becomes one typed error, within the deadline."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.http import http_date

from tests.game.support import hostile_server as servers
from tests.game.support.hostile_server import HostileServer, Script, in_turn, says
from tests.game.support.run_job import SHORT_BUDGET
from vsadmin import __version__
from vsadmin.game import exceptions
from vsadmin.game.standin.server import StandIn
from vsadmin.game.upstream.client import FEED_BYTES, MAX_CONCURRENT_REQUESTS, FetchedJson, Upstream, retry_after_seconds
from vsadmin.game.upstream.conditional import Validators

Start = Callable[[Script], HostileServer]


def fetch(url: str, path: str = "stable.json", max_bytes: int = FEED_BYTES, known: Validators | None = None) -> FetchedJson:
    async def go() -> FetchedJson:
        async with Upstream(url, SHORT_BUDGET) as upstream:
            return await upstream.get_json(path, max_bytes, known or Validators())

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (servers.bomb, exceptions.UpstreamTooLarge, "limit of 2,097,152 bytes"),
        (servers.endless, exceptions.UpstreamTooLarge, "limit of 2,097,152 bytes"),
        (servers.drip, exceptions.UpstreamTimeout, f"no complete answer within {SHORT_BUDGET.deadline:g} s"),
        (servers.hang, exceptions.UpstreamTimeout, "no data for too long"),
        (servers.reset, exceptions.UpstreamUnreachable, "failed or broke"),
        (servers.cut_short, exceptions.UpstreamUnreachable, "failed or broke"),
        (says("HTTP/1.1 200 OK", b"  <!DOCTYPE html><title>Maintenance</title>"), exceptions.UpstreamNotJson, "answered HTML"),
        (says("HTTP/1.1 200 OK", b""), exceptions.UpstreamNotJson, "empty answer"),
        (says("HTTP/1.1 200 OK", b"null"), exceptions.UpstreamNotJson, "answered null"),
        (says("HTTP/1.1 200 OK", b'{"1.22.7": {"linux'), exceptions.UpstreamNotJson, "invalid or incomplete JSON"),
        (says("HTTP/1.1 200 OK", b"[" * 200_000), exceptions.UpstreamNotJson, "nested too deeply"),
        (says("HTTP/1.1 200 OK", b"9" * 5000), exceptions.UpstreamNotJson, "invalid or incomplete JSON"),
        (says("HTTP/1.1 200 OK", b'"\xff\xfe"'), exceptions.UpstreamNotJson, "invalid or incomplete JSON"),
        (says("HTTP/1.1 200 OK\nContent-Encoding: gzip", b"this is no gzip"), exceptions.UpstreamUnreachable, "DecodingError"),
        (says("HTTP/1.1 503 Service Unavailable\nRetry-After: 3600", b"<h1>read-only</h1>"), exceptions.UpstreamReadOnly, "HTTP 503"),
        (says("HTTP/1.1 500 Oops"), exceptions.UpstreamStatus, "HTTP 500"),
        (says("HTTP/1.1 404 Not Found"), exceptions.UpstreamStatus, "HTTP 404"),
        (says("HTTP/1.1 304 Not Modified"), exceptions.UpstreamStatus, "HTTP 304"),
        (says("HTTP/1.1 302 Found\nLocation: https://example.invalid/feed"), exceptions.UpstreamRedirected, "another host"),
        (says("HTTP/1.1 302 Found\nLocation: /again"), exceptions.UpstreamRedirected, "more than 3 redirects"),
        (says("NOT HTTP AT ALL"), exceptions.UpstreamUnreachable, "failed or broke"),
    ],
)
def test_each_fault_raises_its_own_error_within_the_deadline(hostile: Start, script: Script, error: type[exceptions.UpstreamError], message: str) -> None:
    url = hostile(script).url
    started = time.monotonic()
    with pytest.raises(error, match=message) as caught:
        fetch(url)
    assert type(caught.value) is error
    assert str(caught.value).startswith(url)
    assert time.monotonic() - started < SHORT_BUDGET.deadline + 5


def test_a_refused_connection_is_an_error_too() -> None:
    with pytest.raises(exceptions.UpstreamUnreachable, match="connection failed"):
        fetch("http://127.0.0.1:9")


def test_a_transient_failure_is_retried(hostile: Start) -> None:
    assert fetch(hostile(in_turn(says("HTTP/1.1 503 Service Unavailable\nRetry-After: 0"), says("HTTP/1.1 200 OK", b"{}"))).url).data == {}


def test_a_permanent_failure_is_not_retried(hostile: Start) -> None:
    server = hostile(says("HTTP/1.1 404 Not Found"))
    with pytest.raises(exceptions.UpstreamStatus):
        fetch(server.url)
    assert len(server.requests) == 1


def test_a_retry_after_beyond_the_deadline_fails_without_a_wait(hostile: Start) -> None:
    server = hostile(says("HTTP/1.1 503 Service Unavailable\nRetry-After: 3600"))
    with pytest.raises(exceptions.UpstreamReadOnly):
        fetch(server.url)
    assert len(server.requests) == 1


def test_a_redirect_on_the_same_host_is_followed(hostile: Start) -> None:
    assert fetch(hostile(in_turn(says("HTTP/1.1 302 Found\nLocation: /moved.json"), says("HTTP/1.1 200 OK", b'{"moved": 1}'))).url).data == {"moved": 1}


def test_unchanged_data_is_not_sent_again(standin: StandIn) -> None:
    first = fetch(standin.url)
    again = fetch(standin.url, known=first.validators)
    assert first.validators.etag
    assert not first.is_unchanged
    assert again.is_unchanged
    assert again.validators == first.validators


def test_the_user_agent_names_vsadmin_and_a_contact(hostile: Start) -> None:
    server = hostile(says("HTTP/1.1 200 OK", b"{}"))
    fetch(server.url)
    (request,) = server.requests
    (agent,) = (line for line in request.decode().splitlines() if line.lower().startswith("user-agent: "))
    assert f"vsadmin/{__version__} (" in agent
    assert "contact" in agent


def test_a_proxy_of_the_environment_is_ignored(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(standin.url).data


def test_four_requests_run_at_the_same_time_and_never_more(hostile: Start) -> None:
    running: list[int] = []
    highest: list[int] = []
    four = threading.Barrier(MAX_CONCURRENT_REQUESTS)

    def script(connection: Any, closing: Any) -> None:
        running.append(1)
        four.wait(2)
        closing.wait(0.02)  # a fifth request would arrive meanwhile
        highest.append(len(running))
        running.pop()
        says("HTTP/1.1 200 OK", b"{}")(connection, closing)

    async def go(url: str) -> None:
        async with Upstream(url, SHORT_BUDGET) as upstream:
            await asyncio.gather(*(upstream.get_json("x", 10) for _ in range(20)))

    asyncio.run(go(hostile(script).url))
    assert max(highest) == MAX_CONCURRENT_REQUESTS


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("²", None), ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0)])
def test_retry_after_is_read_as_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds


def test_retry_after_as_a_date_counts_from_now() -> None:
    in_a_minute = http_date((datetime.now(UTC) + timedelta(seconds=60)).timestamp())
    assert 55 < (retry_after_seconds(in_a_minute) or 0) <= 60


def test_the_size_limit_is_exact(hostile: Start) -> None:
    body = json.dumps({"1.22.7": {}}).encode()
    assert fetch(hostile(says("HTTP/1.1 200 OK", body)).url, max_bytes=len(body)).data == {"1.22.7": {}}
    with pytest.raises(exceptions.UpstreamTooLarge):
        fetch(hostile(says("HTTP/1.1 200 OK", body)).url, max_bytes=len(body) - 1)
