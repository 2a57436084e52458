"""Bodies under WSGI: nothing acts on one that was not read, and none is larger than the limit.

Django reads as many bytes as Content-Length says.  A body in chunks has none, so Django would take it for empty: a pause
until tomorrow would become one for ever.  `buffering_worker` refuses such a request before it gets here; other servers,
and gunicorn's own workers, do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from vsadmin.http.incoming import BODY_TOO_LARGE, NO_LENGTH, Refused
from vsadmin.http.limits import MAX_BODY_BYTES

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def read_bodies(application: Application) -> Application:
    """Read a body in chunks before `application` is called, or answer 411 or 413 in its place."""

    def limited(environment: Environ, start_response: StartResponse) -> Iterable[bytes]:
        refused = _refuse(environment) or _read_chunks(environment)
        return _answer(refused, start_response) if refused else application(environment, start_response)

    return limited


def _refuse(environment: Environ) -> Refused | None:
    length = environment.get("CONTENT_LENGTH") or "0"
    if length.isascii() and length.isdecimal() and int(length.lstrip("0")[:19] or "0") > MAX_BODY_BYTES:
        return BODY_TOO_LARGE
    if environment.get("HTTP_TRANSFER_ENCODING") and not environment.get("CONTENT_LENGTH") and not environment.get("wsgi.input_terminated"):
        return NO_LENGTH  # the server does not say where the body ends
    return None


def _read_chunks(environment: Environ) -> Refused | None:
    if not environment.get("HTTP_TRANSFER_ENCODING") or environment.get("CONTENT_LENGTH"):
        return None
    body = environment["wsgi.input"].read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        return BODY_TOO_LARGE
    environment["wsgi.input"], environment["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
    return None


def _answer(refused: Refused, start_response: StartResponse) -> Iterable[bytes]:
    body = refused.body()
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    start_response(f"{refused.status} {refused.reason}", headers)
    return [body]
