"""HTTP servers that misbehave: a script decides what each connection gets, on a real socket."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
from collections.abc import Callable

Script = Callable[[socket.socket, threading.Event], None]
"""Answers one connection whose request has been read; the event is set when the server closes."""

BOMB = gzip.compress(b"[" + b" " * 20_000_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class HostileServer:
    """Runs one script for each connection; `requests` holds what the clients sent."""

    def __init__(self, script: Script) -> None:
        self.requests: list[bytes] = []
        self._script = script
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closing.is_set():
                connection, _ = self._listener.accept()
                self._start(lambda accepted=connection: self._serve(accepted))  # type: ignore[misc]  # the default binds the variable of the loop

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.requests.append(connection.recv(65_536))
            self._script(connection, self._closing)


def says(head: str, body: bytes = b"") -> Script:
    """One complete answer; `head` without the empty line at its end."""

    def script(connection: socket.socket, closing: threading.Event) -> None:
        lines = "\r\n".join([*head.splitlines(), f"Content-Length: {len(body)}", "Connection: close", "", ""])
        connection.sendall(lines.encode() + body)

    return script


def in_turn(*scripts: Script) -> Script:
    """The first connection gets the first script, the second one the second, and so on."""
    queue = iter(scripts)

    def script(connection: socket.socket, closing: threading.Event) -> None:
        next(queue)(connection, closing)

    return script


def bomb(connection: socket.socket, closing: threading.Event) -> None:
    """Twenty kilobytes that decompress to twenty megabytes."""
    connection.sendall(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)


def endless(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(OK + b"\r\n[")
    while not closing.is_set():
        connection.sendall(b" " * 65_536)


def drip(connection: socket.socket, closing: threading.Event) -> None:
    """A byte every 50 ms: each read succeeds, and the answer never ends."""
    connection.sendall(OK + b"Content-Length: 1000000\r\n\r\n")
    while not closing.wait(0.05):
        connection.sendall(b" ")


def hang(connection: socket.socket, closing: threading.Event) -> None:
    closing.wait(30)


def reset(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(OK + b"Content-Length: 100\r\n\r\n{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut_short(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(OK + b'Content-Length: 100\r\n\r\n{"1.22.7"')
