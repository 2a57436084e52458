from __future__ import annotations

import pytest

from vsadmin.http.incoming import Incoming
from vsadmin.http.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES

pytestmark = pytest.mark.once

GET = b"GET /healthz?full=1 HTTP/1.1\r\nHost: testserver\r\n\r\n"


def post(*fields: bytes) -> bytes:
    return b"\r\n".join([b"POST /api/v1alpha1/jobs HTTP/1.1", b"Host: testserver", *fields, b"", b""])


def fed(*chunks: bytes) -> Incoming:
    incoming = Incoming()
    for chunk in chunks:
        incoming.feed(chunk)
    return incoming


def singly(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


COMPLETE = {
    "no body": GET,
    "an empty line before it": b"\r\n" + GET,
    "a body": post(b"Content-Length: 4") + b"body",
    "a length with zeros before it": post(b"content-length: " + b"0" * 30 + b"4") + b"body",
    "the largest head": post(b"X-API-Key: " + b"k" * 100_000),
}


@pytest.mark.parametrize("data", COMPLETE.values(), ids=COMPLETE)
def test_a_request_is_complete_with_its_last_byte_however_it_arrives(data: bytes) -> None:
    for chunks in ([data], singly(data), [data[:-1], data[-1:]]):
        assert not fed(*chunks[:-1]).is_complete
        incoming = fed(*chunks)
        assert (incoming.is_complete, incoming.refused) == (True, None)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nX-Long: " + b"x" * MAX_HEAD_BYTES, 431),
        (post(b"X-Long: " + b"x" * MAX_HEAD_BYTES), 431),
        (post(f"Content-Length: {MAX_BODY_BYTES + 1}".encode()), 413),
        (post(b"Content-Length: " + b"9" * 400), 413),
        (post(b"Transfer-Encoding: chunked"), 411),
    ],
)
def test_what_is_too_large_is_refused_before_it_has_arrived(data: bytes, status: int) -> None:
    refused = fed(data).refused
    assert refused is not None
    assert refused.status == status
    head, _, body = refused.response().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_malformed_head_is_handed_over_at_once() -> None:
    assert fed(b"GET / HTTP/1.1\nHost: x\n\n").is_complete
    assert fed(b"\n").is_complete


def test_probes_are_recognised_by_their_path() -> None:
    assert fed(GET).is_probe
    assert not fed(GET.replace(b"/healthz", b"/healthzzz")).is_probe
    assert not fed(b"\x00").is_probe
