"""Turns every error response under /api/ into a problem document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from vsadmin.api import problems
from vsadmin.api.api import refuse_large_body
from vsadmin.api.auth import identify
from vsadmin.api.exceptions import BodyTooLarge, Refusal

API_ROOT = "/api/"


@sync_and_async_middleware
def api_problems(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Refuse a large body before it is read, and answer errors of Django itself (404, 405, 400) as problems too."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            if not request.path_info.startswith(API_ROOT):
                return cast("HttpResponseBase", await get_response(request))
            refusal = _too_large(request)
            return refusal or await sync_to_async(_as_problem)(request, await cast("Awaitable[HttpResponseBase]", get_response(request)))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(API_ROOT):
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
    """401 comes before 404 and 405: a caller without a key must not learn which routes exist."""
    try:
        identify(request)
    except Refusal as error:
        return problems.of_exception(request, error)
    return None
