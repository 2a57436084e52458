"""A database that is out of reach, locked or read-only: the same request may succeed later."""

from __future__ import annotations

import sys

import structlog
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error

log = structlog.get_logger()

RETRY_SECONDS = 5
READ_ONLY = "25006"
"""The SQLSTATE of a write to a server that takes none, such as a replica or a primary that was replaced."""


def handle_outage(error: BaseException | None) -> bool:
    """Whether the error is one.  After a write to a server that takes none the connection is closed: the next may find one that does."""
    if isinstance(error, InternalError) and getattr(error.__cause__, "sqlstate", None) == READ_ONLY:
        connection.close()
        return True
    return isinstance(error, (OperationalError, InterfaceError))


def page_of_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: 503 with a page that asks for nothing from the database when it is out of reach."""
    if not handle_outage(sys.exception()):
        return server_error(request)
    log.warning("page_database_unavailable", problem=str(sys.exception())[:200], path=request.path)
    # Without the request: its user and its messages are in the database.
    return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"})
