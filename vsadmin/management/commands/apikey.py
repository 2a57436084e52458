"""`manage.py apikey create|list|revoke`: API keys.

Data goes to stdout, `--json` makes it one JSON value; exit codes: 0 ok, 1 failed, 2 usage, 3 not found.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.timezone import now

from jobs.management.arguments import NOT_FOUND, actions_of, iso_time
from jobs.management.console import ConsoleCommand, user_of_process
from vsadmin.api.exceptions import KeyNotFound
from vsadmin.models import ApiKey, Role


def _summary(row: ApiKey) -> dict[str, Any]:
    times = {name: getattr(row, name) for name in ("created_at", "expires_at", "last_used_at", "revoked_at")}
    texts = {name: at and at.isoformat() for name, at in times.items()}
    return {"prefix": row.prefix, "name": row.name, "role": row.role, "state": row.problem(now()) or "valid", "created_by": row.created_by, **texts}


class Command(ConsoleCommand):
    help = "Create, list and revoke API keys."

    def add_arguments(self, parser: CommandParser) -> None:
        add = actions_of(parser)
        create = add("create", self.create, "Create a key and print it. Only its hash is stored; it is not shown again.")
        create.add_argument("name", help="name of the person or program")
        create.add_argument("--role", choices=Role.values, default=Role.MONITOR.value)
        create.add_argument("--expires", type=iso_time, metavar="TIME", help="ISO 8601, e.g. 2027-01-01T00:00+01:00; default: never")
        add("list", self.list_keys, "List all keys by their prefixes.")
        add("revoke", self.revoke, "Revoke a key permanently.").add_argument("prefix", help="the prefix that `list` shows")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["run_action"](options)
        except KeyNotFound as error:
            raise CommandError(str(error), returncode=NOT_FOUND) from None
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None

    def create(self, options: dict[str, Any]) -> None:
        row, key = ApiKey.objects.issue(options["name"], options["role"], user_of_process(), options["expires"])
        self.show(options, {"key": key, **_summary(row)}, key)

    def list_keys(self, options: dict[str, Any]) -> None:
        rows = [_summary(row) for row in ApiKey.objects.all()]
        lines = [f"{row['prefix']}  {row['role']:<8} {row['state']:<8} {row['last_used_at'] or 'never used':<33} {row['name']}" for row in rows]
        self.show(options, rows, "\n".join(lines))

    def revoke(self, options: dict[str, Any]) -> None:
        row = ApiKey.objects.find(options["prefix"])
        row.revoke(now())
        row.refresh_from_db()
        self.show(options, _summary(row), f"{row} is revoked")
