"""Servers that mean harm: whatever a script does to a connection, on a real socket."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

Script = Callable[[socket.socket, threading.Event], None]
BOMB = gzip.compress(b"[" + b" " * 20_000_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class HostileServer:
    """One script for each connection; a context manager that gives the address."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> str:
        self._start(self._accept)
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._over.set()
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
            while not self._over.is_set():
                connection, _ = self._listener.accept()
                self._start(lambda accepted=connection: self._serve(accepted))  # type: ignore[misc]  # the default binds the variable of the loop

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            self._script(connection, self._over)


def says(head: str, body: bytes = b"") -> Script:
    """One whole answer; `head` without its end."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        lines = "\r\n".join([*head.splitlines(), f"Content-Length: {len(body)}", "Connection: close", "", ""])
        connection.sendall(lines.encode() + body)

    return script


def in_turn(*scripts: Script) -> Script:
    """Each connection gets the next script."""
    waiting = iter(scripts)

    def script(connection: socket.socket, over: threading.Event) -> None:
        next(waiting)(connection, over)

    return script


def bomb(connection: socket.socket, over: threading.Event) -> None:
    """Twenty kilobytes that become twenty megabytes."""
    connection.sendall(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)


def endless(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(OK + b"\r\n[")
    while not over.is_set():
        connection.sendall(b" " * 65_536)


def drip(connection: socket.socket, over: threading.Event) -> None:
    """A byte now and then: each read succeeds, and the whole never ends."""
    connection.sendall(OK + b"Content-Length: 1000000\r\n\r\n")
    while not over.wait(0.05):
        connection.sendall(b" ")


def hang(connection: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def reset(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(OK + b"Content-Length: 100\r\n\r\n{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut_short(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(OK + b'Content-Length: 100\r\n\r\n{"1.22.7"')
