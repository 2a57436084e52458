"""Nothing acts on a body that was not read: one in chunks is read, or refused with 411, by every server."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from jobs.models import JobDefinition
from tests.support.api import ADMIN_KEY, ROOT
from tests.support.processes import Site
from tests.support.rows import make_job
from vsadmin.http.limits import MAX_BODY_BYTES
from vsadmin.http.wsgi_limits import read_bodies

UNTIL = "2030-01-01T00:00:00Z"
SERVERS: dict[str, dict[str, Any]] = {
    "gunicorn": {},
    "gunicorn's own threads": {"worker_class": "gthread"},
    "gunicorn's processes": {"worker_class": "sync"},
    "uvicorn": {"asgi": True},
}


@pytest.fixture(params=list(SERVERS.values()), ids=list(SERVERS))
def server(request: pytest.FixtureRequest, site: Site) -> Site:
    make_job()
    site.start_web(**request.param, VS_API_KEY_ADMIN=ADMIN_KEY)
    return site


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def send(site: Site, path: str, body: bytes) -> tuple[int, Any]:
    """The status and the body of the response to a request in chunks."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {ADMIN_KEY}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", httpx2.URL(site.base_url).port or 0), timeout=60) as client:
        with suppress(ConnectionError):  # it was refused while it was sent
            client.sendall(head.encode() + body)
        answer = b""
        while chunk := client.recv(65_536):
            answer += chunk
    status_line, _, rest = answer.partition(b"\r\n")
    return int(status_line.split()[1]), json.loads(rest[rest.index(b"{") : rest.rindex(b"}") + 1])


@pytest.mark.once
def test_a_pause_in_chunks_is_as_long_as_was_said_or_none(server: Site) -> None:
    body = json.dumps({"until": UNTIL, "reason": "holidays"}).encode()
    status, answer = send(server, f"{ROOT}/jobs/backup/pause", chunks(body[:5], body[5:]))
    paused_until = JobDefinition.objects.get().paused_until
    if status == 411:
        assert (answer["code"], paused_until) == ("LENGTH_REQUIRED", None)
    else:
        assert (status, paused_until and paused_until.year) == (200, 2030)


@pytest.mark.once
@pytest.mark.parametrize("path", [f"{ROOT}/jobs/backup/pause", "/admin/login/"])
def test_a_body_in_chunks_over_the_limit_is_refused(path: str, server: Site) -> None:
    # Over it by one byte: a server that closes a connection with unread bytes takes its response away from the client.
    status, answer = send(server, path, chunks(*[b" " * 65_536] * (MAX_BODY_BYTES // 65_536), b" "))
    assert (status, answer["code"]) in {(413, "BODY_TOO_LARGE"), (411, "LENGTH_REQUIRED")}
    assert JobDefinition.objects.get().paused_until is None


@pytest.mark.once
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, {400, 403, 422}), (MAX_BODY_BYTES + 1, {413})])
@pytest.mark.parametrize("path", [f"{ROOT}/jobs/backup/pause", "/admin/login/"])
def test_a_body_with_a_length_is_read_up_to_the_limit_by_every_server(path: str, size: int, status: set[int], server: Site) -> None:
    answer = httpx2.post(f"{server.base_url}{path}", content=b" " * size, headers={"X-API-Key": ADMIN_KEY}, trust_env=False, timeout=60)
    assert answer.status_code in status
    assert JobDefinition.objects.get().paused_until is None


def ask(**environ: Any) -> tuple[str, bytes]:
    """The status of a request by WSGI alone, and the body that the application has read."""
    said: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))]

    answer = read_bodies(application)(environ, lambda status, headers: said.append(status))
    return said[0], b"".join(answer)


CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}


def test_a_server_that_says_where_the_body_ends_has_it_read() -> None:
    assert ask(**CHUNKED, **{"wsgi.input_terminated": True, "wsgi.input": io.BytesIO(b"body")}) == ("200 OK", b"body")


def test_a_server_that_does_not_say_so_gets_411() -> None:
    assert ask(**CHUNKED, **{"wsgi.input": io.BytesIO(b"body")})[0] == "411 Length Required"


def test_a_server_that_has_read_the_chunks_itself_is_believed() -> None:
    assert ask(**CHUNKED, **{"CONTENT_LENGTH": "4", "wsgi.input": io.BytesIO(b"body and more")}) == ("200 OK", b"body")


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_LENGTH": str(MAX_BODY_BYTES + 1)},
        CHUNKED | {"wsgi.input_terminated": True},
        {"CONTENT_LENGTH": "9" * 5000},
        {"CONTENT_LENGTH": f"{MAX_BODY_BYTES + 1:030}"},
    ],
)
def test_no_more_than_the_limit_is_read(environ: dict[str, Any]) -> None:
    assert ask(**environ, **{"wsgi.input": io.BytesIO(b" " * (MAX_BODY_BYTES + 2))})[0] == "413 Content Too Large"
