"""The id of a request, which its response and all its log lines carry."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


@sync_and_async_middleware
def request_id(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Keep the client's X-Request-ID if it matches `REQUEST_ID`, else make one, and send it back."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            chosen = _choose(request)
            return _mark(await cast("Awaitable[HttpResponseBase]", get_response(request)), chosen)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        chosen = _choose(request)
        return _mark(get_response(request), chosen)

    return answer


def _choose(request: HttpRequest) -> str:
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    # django-structlog binds this header to every log line, so that a client must not choose its text freely.
    request.META["HTTP_X_REQUEST_ID"] = chosen = given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
    return chosen


def _mark(response: HttpResponseBase, chosen: str) -> HttpResponseBase:
    response["X-Request-ID"] = chosen
    return response
