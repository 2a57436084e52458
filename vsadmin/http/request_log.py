"""One log line for each request, with the id that its response carries."""

from __future__ import annotations

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from vsadmin.http.client_address import client_address

QUIET = frozenset({"/metrics"})
"""Requested by machines every few seconds: logged only when it fails, like the probes."""


class RequestLog(RequestMiddleware):
    """django-structlog's middleware, without a line for each successful scrape and with the client's address behind a proxy."""

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        if request.path_info in QUIET and response.status_code < 400:
            structlog.contextvars.clear_contextvars()
        else:
            super().handle_response(request, response)

    @staticmethod
    def bind_ip(request: HttpRequest) -> None:
        # The base class trusts X-Forwarded-For from any client.
        structlog.contextvars.bind_contextvars(ip=client_address(request))
