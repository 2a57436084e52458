"""gunicorn's threaded worker, with threads only for requests that have arrived completely.

gunicorn reads requests in its threads, without a deadline: eight clients that send a byte now and then occupy eight
threads for ever.  Here the main loop receives all requests at once, as a reverse proxy does, with limits of size and time.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from socket import SHUT_WR
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # gunicorn has no types

from vsadmin.http.incoming import TOO_SLOW, Incoming, Refused
from vsadmin.http.limits import LINGER_SECONDS, MAX_HELD_BYTES, READ_SECONDS, WRITE_SECONDS

CHUNK = 65_536
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Receiving:
    """A connection of which the main loop reads; `incoming` None: what comes is thrown away until it is closed."""

    def __init__(self, incoming: Incoming | None, seconds: float) -> None:
        self.incoming = incoming
        self.deadline = time.monotonic() + seconds

    @property
    def size(self) -> int:
        return len(self.incoming.data) if self.incoming else 0


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Receives in the main loop; probes have threads of their own, so that they answer while all others are occupied."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving: dict[Any, Receiving] = {}
        """By connection, the oldest first."""
        self._held = 0
        """Bytes of them together."""
        self._probe_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="probe")

    def accept(self, listener: Any) -> None:
        super().accept(listener)
        while self.nr_conns >= self.worker_connections and self._drop_oldest():
            pass  # else nobody new would be let in until a slow client gives up

    def enqueue_req(self, conn: Any) -> None:
        """Called for a new connection, and for one that is used again: receive its next request."""
        if self.cfg.is_ssl:  # the bytes are encrypted; the thread has to read them
            super().enqueue_req(conn)
            return
        conn.sock.settimeout(0)
        incoming = Incoming()
        if conn.parser is not None:  # it may have read the beginning of the next request
            incoming.feed(conn.parser.unreader.take_buffered())
            self._held += len(incoming.data)
        self._receiving[conn] = Receiving(incoming, READ_SECONDS)
        self.poller.register(conn.sock, EVENT_READ, partial(self._read, conn))
        self._look(conn, incoming)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Close without waiting for the client: the base class waits up to 2 s, in the main loop."""
        if self.cfg.is_ssl or fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        conn.sock.settimeout(WRITE_SECONDS)
        return super().handle_request(req, conn)

    def murder_pending(self) -> None:
        super().murder_pending()
        now = time.monotonic()
        for conn, receiving in list(self._receiving.items()):
            if receiving.deadline > now and (self.alive or receiving.size or receiving.incoming is None):
                continue
            if receiving.size:
                self._refuse(conn, TOO_SLOW)
            else:
                self._drop(conn)

    def _read(self, conn: Any, _sock: Any) -> None:
        receiving = self._receiving.get(conn)
        if receiving is None:  # dropped since the poller reported it
            return
        try:
            chunk = conn.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(conn)
        elif receiving.incoming is not None:
            before = receiving.size
            receiving.incoming.feed(chunk)
            self._held += receiving.size - before
            self._look(conn, receiving.incoming)

    def _look(self, conn: Any, incoming: Incoming) -> None:
        if incoming.refused:
            self._refuse(conn, incoming.refused)
        elif incoming.is_complete:
            self._hand_over(conn, incoming)
        else:
            if incoming.expects_continue:
                incoming.expects_continue = False
                self._send(conn, CONTINUE)
            while self._held > MAX_HELD_BYTES:
                self._drop_oldest()

    def _hand_over(self, conn: Any, incoming: Incoming) -> None:
        self._forget(conn)
        conn.data_ready = True
        conn.init()
        conn.parser.unreader.unread(bytes(incoming.data))
        pool = self._probe_threads if incoming.is_probe else self.tpool
        future = pool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _refuse(self, conn: Any, refused: Refused) -> None:
        self.log.warning("Refused a request from %s: %s", conn.client[0] if conn.client else "", refused.detail)
        self._forget(conn)
        self._send(conn, refused.response())
        self._linger(conn)

    def _linger(self, conn: Any) -> None:
        """Close once the client has read the response: closing with unread bytes would take it away from the client."""
        try:
            conn.sock.settimeout(0)
            conn.sock.shutdown(SHUT_WR)
            self.poller.register(conn.sock, EVENT_READ, partial(self._read, conn))
        except (OSError, ValueError):  # the client is gone, or gunicorn has closed it
            self.nr_conns -= 1
            conn.close()
        else:
            self._receiving[conn] = Receiving(None, LINGER_SECONDS)

    @staticmethod
    def _send(conn: Any, data: bytes) -> None:
        with suppress(OSError):
            conn.sock.send(data)

    def _forget(self, conn: Any) -> None:
        self._held -= self._receiving.pop(conn).size
        self.poller.unregister(conn.sock)

    def _drop(self, conn: Any) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def _drop_oldest(self) -> bool:
        """Drop the request that takes longest to arrive; False if there is none."""
        if not self._receiving:
            return False
        self._drop(next(iter(self._receiving)))
        return True
