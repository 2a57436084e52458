"""Under ASGI a body is counted while it arrives, whatever its Content-Length says."""

from __future__ import annotations

import socket

import httpx2
import pytest

from tests.support.processes import Site
from vsadmin.http.limits import MAX_BODY_BYTES

pytestmark = pytest.mark.once


def test_a_body_in_chunks_is_refused_at_the_limit(site: Site) -> None:
    site.start_web(asgi=True)
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", httpx2.URL(site.base_url).port or 0), timeout=60) as client:
        client.sendall(b"POST /api/v1alpha1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * (MAX_BODY_BYTES // 65_536 + 1))
        answer = client.recv(65_536)  # though the last chunk has not been sent
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "BODY_TOO_LARGE"' in answer or b"problem+json" in answer


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 401), (MAX_BODY_BYTES + 1, 413)])
def test_a_body_up_to_the_limit_is_read(size: int, status: int, site: Site) -> None:
    site.start_web(asgi=True)
    assert httpx2.post(f"{site.base_url}/api/v1alpha1/jobs", content=b"x" * size, trust_env=False, timeout=30).status_code == status


def test_a_body_that_does_not_arrive_is_ended(site: Site) -> None:
    site.start_web(asgi=True)
    with socket.create_connection(("127.0.0.1", httpx2.URL(site.base_url).port or 0), timeout=90) as client:
        client.sendall(b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf")
        assert client.recv(65_536).startswith(b"HTTP/1.1 408 ")
