"""Pages that are neither admin nor API."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from jobs.api.permissions import MONITOR
from jobs.monitoring.metrics import CONTENT_TYPE, exposition
from vsadmin.api import problems
from vsadmin.api.auth import admit
from vsadmin.api.exceptions import Refusal


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text, for whoever has any key."""
    try:
        admit(request, MONITOR)
        text = exposition()
    except Refusal as error:
        return problems.of_exception(request, error)
    return HttpResponse(text, content_type=CONTENT_TYPE)
