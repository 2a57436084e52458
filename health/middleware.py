"""Answers `/healthz` and `/readyz` before any other middleware sees the request.

A prober connects by IP address, over plain HTTP, every second: neither ALLOWED_HOSTS nor the redirect to HTTPS may refuse
it, it needs no session, and it must not fill the log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from health.probes import health, readiness

GetResponse = Callable[[HttpRequest], Any]


def healthz() -> HttpResponse:
    """Always 200: the process can answer.  The state of the rest is in the body."""
    return JsonResponse({"status": "ok", "data": health()})


def readyz() -> HttpResponse:
    reasons, data = readiness()
    if not reasons:
        return JsonResponse({"status": "ok", "data": data})
    body = {"type": "urn:vsadmin:problem:not-ready", "title": "Not ready", "status": 503, "detail": "; ".join(reasons), "code": "NOT_READY"}
    return JsonResponse(body | data, status=503, content_type="application/problem+json", headers={"Retry-After": "2"})


PROBES: dict[str, Callable[[], HttpResponse]] = {"/healthz": healthz, "/readyz": readyz}


def _answer(request: HttpRequest) -> HttpResponse:
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    response = PROBES[request.path_info]()
    response["Cache-Control"] = "no-store"
    return response


@sync_and_async_middleware
def probes(get_response: GetResponse) -> GetResponse:
    if iscoroutinefunction(get_response):
        # Not in asgiref's shared thread: a request that waits for the database may block it.
        answer_in_thread = sync_to_async(_answer, thread_sensitive=False)

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            if request.path_info in PROBES:
                return await answer_in_thread(request)
            return await cast("Awaitable[HttpResponseBase]", get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _answer(request) if request.path_info in PROBES else cast("HttpResponseBase", get_response(request))

    return answer
