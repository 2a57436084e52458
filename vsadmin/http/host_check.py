"""Django's CommonMiddleware, which refuses unknown host names, for all but `/metrics`.

Prometheus connects by an address of its own configuration, as a prober does; the API key decides about the request.
`SECURE_REDIRECT_EXEMPT` keeps it from being redirected to HTTPS.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

METRICS_PATH = "/metrics"


class HostCheck(CommonMiddleware):
    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info == METRICS_PATH else super().process_request(request)
