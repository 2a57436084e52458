"""`VS_PATH_PREFIX`: requests are the same whether the reverse proxy passes the prefix on or removes it.

Django prepends FORCE_SCRIPT_NAME to the addresses that it makes.  Under WSGI it expects paths without it, under ASGI with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]
AsgiApplication = Callable[[Any, Any, Any], Awaitable[None]]


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def prefixed_wsgi(application: WsgiApplication, prefix: str | None) -> WsgiApplication:
    if not prefix:
        return application

    def answer(request: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = request.get("PATH_INFO", "")
        if _is_below(path, prefix):
            request["PATH_INFO"] = path.removeprefix(prefix) or "/"
        return application(request, start_response)

    return answer


def prefixed_asgi(application: AsgiApplication, prefix: str | None) -> AsgiApplication:
    if not prefix:
        return application

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and not _is_below(path, prefix):
            scope = scope | {"path": prefix + path}
        elif path == prefix:
            scope = scope | {"path": f"{prefix}/"}
        await application(scope, receive, send)

    return answer
