"""Pages that are neither admin nor API."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from jobs.api.permissions import MONITOR
from jobs.monitoring.exposition import compress, negotiate
from vsadmin.api import problems
from vsadmin.api.auth import admit
from vsadmin.api.exceptions import Refusal
from vsadmin.http.conditional import CALLER


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """`/metrics`, for any key and for staff."""
    try:
        admit(request, MONITOR)
    except Refusal as error:
        return problems.of_exception(request, error)
    exposition = negotiate(request.headers.get("Accept", ""))
    body, headers = compress(exposition.body(), request.headers.get("Accept-Encoding", ""))
    response = HttpResponse(body, content_type=exposition.content_type, headers={"Cache-Control": "no-store", **headers})
    patch_vary_headers(response, CALLER)
    return response
