"""One log line for each request, with the id that its answer carries."""

from __future__ import annotations

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from vsadmin.peers import peer_address

QUIET = frozenset({"/metrics"})
"""Asked every few seconds by machines: logged only when it fails, as the probes are."""


class RequestLog(RequestMiddleware):
    """django-structlog's middleware, which is quiet about machines and knows who is behind a proxy."""

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        if request.path in QUIET and response.status_code < 400:
            structlog.contextvars.clear_contextvars()
        else:
            super().handle_response(request, response)

    @staticmethod
    def bind_ip(request: HttpRequest) -> None:
        # The base class believes X-Forwarded-For, whoever sends it.
        structlog.contextvars.bind_contextvars(ip=peer_address(request))
