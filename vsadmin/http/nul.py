"""Refuses addresses with NUL: no page, job or run has one in its name, and PostgreSQL takes it in no query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from vsadmin.http.api_problems import API_ROOT


@sync_and_async_middleware
def refuse_nul(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer 400; `api_problems`, which is outside of this middleware, makes a problem document of it."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            return _refusal(request) or await cast("Awaitable[HttpResponseBase]", get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _refusal(request) or cast("HttpResponseBase", get_response(request))

    return answer


def _refusal(request: HttpRequest) -> HttpResponseBase | None:
    query = "" if request.path_info.startswith(API_ROOT) else request.META.get("QUERY_STRING", "")  # the API names the parameter
    if "\0" in request.path_info or "%00" in query or "\0" in query:
        return HttpResponseBadRequest("The address contains NUL (%00); remove it.\n", content_type="text/plain")
    return None
