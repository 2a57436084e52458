"""`manage.py prunejobruns`: delete old runs now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.timezone import now

from jobs.maintenance.prune import prune
from jobs.management.console import ConsoleCommand


class Command(ConsoleCommand):
    help = "Delete finished runs beyond the number and age that their jobs keep."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a JSON object of deleted runs by job id")

    def handle(self, *args: Any, **options: Any) -> None:
        deleted = prune(now())
        self.show(options, deleted, f"{sum(deleted.values())} runs of {len(deleted)} jobs deleted")
