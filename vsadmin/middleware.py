"""What happens around every request: its id, and one shape of error for everything under /api/."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from vsadmin.api import problems
from vsadmin.api.api import refuse_large_body
from vsadmin.api.auth import identify
from vsadmin.api.exceptions import BodyTooLarge, Refusal

API_ROOT = "/api/"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

GetResponse = Callable[[HttpRequest], Any]
Middleware = TypeVar("Middleware", bound=Callable[..., Any])


@sync_and_async_middleware
def request_id(get_response: GetResponse) -> GetResponse:
    """Give each request an id, the client's own when it is a plain word, and return it as X-Request-ID."""

    def prepare(request: HttpRequest) -> str:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        # django-structlog binds whatever stands in the header to every log line.
        request.META["HTTP_X_REQUEST_ID"] = chosen = given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        return chosen

    def mark(response: HttpResponseBase, chosen: str) -> HttpResponseBase:
        response["X-Request-ID"] = chosen
        return response

    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            chosen = prepare(request)
            return mark(await cast("Awaitable[HttpResponseBase]", get_response(request)), chosen)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        chosen = prepare(request)
        return mark(get_response(request), chosen)

    return answer


@sync_and_async_middleware
def api_problems(get_response: GetResponse) -> GetResponse:
    """Refuse large bodies before they are read, and turn whatever else goes wrong under /api/ into a problem."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            if not request.path.startswith(API_ROOT):
                return cast("HttpResponseBase", await get_response(request))
            refusal = _too_large(request)
            return refusal or await sync_to_async(_as_problem)(request, await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(API_ROOT):
            return cast("HttpResponseBase", get_response(request))
        return _too_large(request) or _as_problem(request, get_response(request))

    return answer


def _too_large(request: HttpRequest) -> HttpResponseBase | None:
    try:
        refuse_large_body(request)
    except BodyTooLarge as error:
        return problems.of_exception(request, error)
    return None


def _as_problem(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code < 400 or response.headers.get("Content-Type") == "application/problem+json":
        return response
    answer = _refusal(request) if response.status_code in {404, 405} else None
    if answer is None:
        answer = problems.of_status(request, response.status_code)
        if "Allow" in response.headers:
            answer["Allow"] = response.headers["Allow"]
    return answer


def _refusal(request: HttpRequest) -> HttpResponseBase | None:
    """401 comes before 404 and 405 here too: who is unknown learns nothing about what exists."""
    try:
        identify(request)
    except Refusal as error:
        return problems.of_exception(request, error)
    return None
