"""Limits of size and time for bodies under ASGI, where Django writes a body to disk before anything looks at the request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from vsadmin.http.incoming import BODY_TOO_LARGE, TOO_SLOW, Refused
from vsadmin.http.limits import MAX_BODY_BYTES, READ_SECONDS

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class BodyRefused(Exception):
    def __init__(self, refused: Refused) -> None:
        self.refused = refused
        super().__init__(refused.detail)


class LimitedBody:
    """`receive` of one request: counts the body while it arrives, whatever its Content-Length says."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0
        self._is_complete = False
        self._deadline = asyncio.get_running_loop().time() + READ_SECONDS

    async def receive(self) -> Message:
        if self._is_complete:  # what comes now is the end of the connection
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise BodyRefused(TOO_SLOW) from None
        self._bytes += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        if self._bytes > MAX_BODY_BYTES:
            raise BodyRefused(BODY_TOO_LARGE)
        return message


def limit_bodies(application: Application) -> Application:
    """Answer 413 or 408 in place of `application` when a body is too large or too slow."""

    async def limited(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        try:
            await application(scope, LimitedBody(receive).receive, send)
        except BodyRefused as error:
            await _answer(error.refused, send)

    return limited


async def _answer(refused: Refused, send: Send) -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": refused.body()})
