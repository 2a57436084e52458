"""Responses of the API that a client may keep: entity tags, 304, HEAD, compression, and what a cache has to know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware
from django.utils.http import parse_etags

from jobs.api.preconditions import digest_of, without_coding
from vsadmin.http.api_problems import API_ROOT

CALLER = ("X-API-Key", "Authorization", "Cookie")
"""The request headers that say who asks."""

KEPT_IN_304 = ("Cache-Control", "ETag", "Vary", "Content-Language")


class Compression(GZipMiddleware):
    """Django's, with the same bytes each time: a tag names bytes.  No response of the API contains a secret that its length could tell."""

    max_random_bytes = 0


compression = Compression(lambda _request: HttpResponse())


@sync_and_async_middleware
def conditional(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer HEAD wherever GET is, If-None-Match with 304, and compress what is sent."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            if not request.path_info.startswith(API_ROOT):
                return await cast("Awaitable[HttpResponseBase]", get_response(request))
            is_head = _ask_for_body(request)
            return _finish(request, await cast("Awaitable[HttpResponseBase]", get_response(request)), is_head=is_head)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(API_ROOT):
            return cast("HttpResponseBase", get_response(request))
        is_head = _ask_for_body(request)
        return _finish(request, get_response(request), is_head=is_head)

    return answer


def _ask_for_body(request: HttpRequest) -> bool:
    """Turn HEAD into GET, whose body gives the headers; true if it was HEAD."""
    is_head = request.method == "HEAD"
    if is_head:
        request.method = "GET"
    return is_head


def _finish(request: HttpRequest, response: HttpResponseBase, *, is_head: bool) -> HttpResponseBase:
    if not isinstance(response, HttpResponse):
        return response
    patch_vary_headers(response, (*CALLER, "Accept-Encoding"))
    if "GET" in response.headers.get("Allow", "").split(", "):
        response["Allow"] += ", HEAD"
    is_kept = request.method == "GET" and response.status_code == 200
    response.setdefault("Cache-Control", "private, no-cache" if is_kept else "no-store")
    tag = _tag(response) if is_kept or (response.has_header("ETag") and response.status_code < 300) else ""
    compression.process_response(request, response)
    if tag:
        response["ETag"] = f'{tag[:-1]}-gzip"' if response.has_header("Content-Encoding") else tag
    if is_kept and _is_known(request, tag):
        return HttpResponse(status=304, headers={name: response[name] for name in KEPT_IN_304 if name in response})
    if is_head:
        response["Content-Length"] = str(len(response.content))
        response.content = b""
    return response


def _tag(response: HttpResponse) -> str:
    """The entity tag of a body: its digest, after the revision that the operation has set."""
    revision = response.headers.get("ETag", "").strip('"')
    return f'"{revision}-{digest_of(response.content)}"' if revision else f'"{digest_of(response.content)}"'


def _is_known(request: HttpRequest, tag: str) -> bool:
    """Whether the client has this body already: the weak comparison of If-None-Match."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return known == ["*"] or tag in [without_coding(one.removeprefix("W/")) for one in known]
