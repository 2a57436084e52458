"""Django system checks of the probes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

MIDDLEWARE = "health.middleware.probes"


@register
def check_middleware_order(**_options: Any) -> list[CheckMessage]:
    """A middleware before ours could redirect a probe, or ask the database that the probe reports about."""
    if not settings.MIDDLEWARE or settings.MIDDLEWARE[0] != MIDDLEWARE:
        return [Error(f"{MIDDLEWARE} is not the first entry of MIDDLEWARE.", hint="Move it to the top; probes must be answered before all else.", id="health.E001")]
    return []
