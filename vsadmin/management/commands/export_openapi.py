"""`manage.py export_openapi`: print the OpenAPI document; `docs/openapi.json` is its output."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from vsadmin.api.api import api


class Command(BaseCommand):
    help = "Print the OpenAPI document."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(api.get_openapi_schema(), indent=2))
