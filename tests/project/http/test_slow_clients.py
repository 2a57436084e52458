"""Clients that send or read slowly, or too much, occupy no thread of the web server: everybody else is answered."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.api import ADMIN_KEY
from tests.support.processes import Site
from vsadmin.http.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES

pytestmark = pytest.mark.once

HEAD = b"GET /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
THREADS = 4


class Clients:
    """Raw connections to the web server."""

    def __init__(self, site: Site) -> None:
        self._address = ("127.0.0.1", httpx2.URL(site.base_url).port or 0)
        self._open: list[socket.socket] = []

    def send(self, data: bytes, receive_buffer: int = 0) -> socket.socket:
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(90)
        client.connect(self._address)
        client.sendall(data)
        self._open.append(client)
        return client

    def close(self) -> None:
        for client in self._open:
            client.close()


@pytest.fixture
def clients(site: Site) -> Iterator[Clients]:
    site.start_web(threads=THREADS, VS_API_KEY_ADMIN=ADMIN_KEY)
    opened = Clients(site)
    yield opened
    opened.close()


def all_of(client: socket.socket) -> bytes:
    answer = b""
    while chunk := client.recv(65_536):
        answer += chunk
    return answer


def is_served(site: Site) -> bool:
    with httpx2.Client(base_url=site.base_url, trust_env=False, timeout=30) as browser:
        return [browser.get(path).status_code for path in ("/healthz", "/readyz", "/admin/login/")] == [200, 200, 200]


SLOW = {
    "nothing": b"",
    "half of a head": HEAD + b"X-Slow: ",
    # The cookie makes Django look for the token in the body.
    "half of a body": POST + b"Cookie: csrftoken=" + b"t" * 32 + b"\r\nContent-Length: 1000\r\n\r\nusername=",
    "half of the next request": HEAD + b"\r\n" + HEAD,
}


@pytest.mark.parametrize("data", SLOW.values(), ids=SLOW)
def test_slow_clients_keep_nobody_from_being_served(data: bytes, clients: Clients, site: Site) -> None:
    for _ in range(3 * THREADS):
        clients.send(data)
    assert is_served(site)


def test_more_slow_clients_than_the_server_has_connections_keep_nobody_from_being_served(clients: Clients, site: Site) -> None:
    for _ in range(600):
        clients.send(HEAD)
    assert is_served(site)


def test_probes_answer_while_clients_do_not_read_their_answers(clients: Clients, site: Site) -> None:
    request = b"GET /static/ninja/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for _ in range(3 * THREADS):
        clients.send(request * 20, receive_buffer=4096)
    assert httpx2.get(f"{site.base_url}/healthz", trust_env=False, timeout=15).status_code == 200


def test_a_request_that_does_not_arrive_is_ended(clients: Clients) -> None:
    head, body = clients.send(SLOW["half of a head"]), clients.send(SLOW["half of a body"])
    assert all_of(head).startswith(b"HTTP/1.1 408 ")
    assert all_of(body).startswith(b"HTTP/1.1 408 ")


def test_a_head_without_end_is_refused_while_it_arrives(clients: Clients) -> None:
    assert all_of(clients.send(HEAD + b"X-Long: " + b"x" * MAX_HEAD_BYTES)).startswith(b"HTTP/1.1 431 ")


def test_a_body_that_is_too_large_is_refused_before_it_arrives(clients: Clients) -> None:
    answer = all_of(clients.send(POST + f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\nusername=".encode()))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "BODY_TOO_LARGE"' in answer


def test_a_client_that_asks_before_it_sends_a_body_is_answered(clients: Clients) -> None:
    client = clients.send(POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 4\r\n\r\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
    client.sendall(b"body")
    assert b"HTTP/1.1 403 " in all_of(client)  # no CSRF token


def test_requests_on_one_connection_are_answered_in_order(clients: Clients) -> None:
    first, last = (b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n" % path for path in (b"/admin/login/", b"/api/v1alpha1/jobs"))
    answer = all_of(clients.send(first + b"\r\n" + last + b"Connection: close\r\n\r\n"))
    assert answer.index(b"HTTP/1.1 200 ") < answer.index(b"HTTP/1.1 401 ")
