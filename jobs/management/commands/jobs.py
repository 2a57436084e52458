"""`manage.py jobs …`: look at jobs and drive them from a shell.

Data goes to stdout, `--json` makes it one JSON value; exit codes: 0 ok, 1 failed, 2 usage, 3 not found.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from jobs.clock import database_now
from jobs.exceptions import JobNotFound, JobsError, RunNotFound
from jobs.maintenance.audit import audit
from jobs.maintenance.transfer import export_definitions, import_definitions
from jobs.management.arguments import NOT_FOUND, actions_of, iso_time
from jobs.models import Author, DatabaseEnvironment, JobDefinition, JobRun, ScheduledJob


class Command(BaseCommand):
    help = "List, show, run, pause and resume jobs; export, import and audit them."

    def add_arguments(self, parser: CommandParser) -> None:
        add = actions_of(parser)
        add("list", self.list_jobs, "All jobs with their schedule and next run.")
        add("show", self.show, "Everything about one job.").add_argument("job_id")
        run = add("run", self.run_now, "Ask for a run now.")
        run.add_argument("job_id")
        run.add_argument("--kwargs", type=_json_object, help="arguments as a JSON object; they replace single arguments of the job")
        pause = add("pause", self.pause, "Fire no slot until a time, or until somebody resumes the job.")
        pause.add_argument("job_id")
        pause.add_argument("--until", type=iso_time, help="ISO 8601, e.g. 2026-12-24T18:00+01:00")
        pause.add_argument("--reason", default="")
        add("resume", self.resume, "Fire slots again.").add_argument("job_id")
        upcoming_runs = add("next", self.next_runs, "The next fire times of a job.")
        upcoming_runs.add_argument("job_id")
        upcoming_runs.add_argument("--count", type=int, default=5)
        add("cancel", self.cancel, "Cancel a run.").add_argument("run_id", type=int)
        add("export", self.export, "Print all definitions as JSON.")
        importing = add("import", self.import_file, "Create and change definitions from an export; all or nothing.")
        importing.add_argument("file", help="a file's path, or - for standard input")
        auditing = add("audit", self.audit, "Recompute every slot, and print those without an answer.")
        auditing.add_argument("--since", type=iso_time, help="ISO 8601; default: 24 hours ago")
        add("adopt", self.adopt, "Make the database belong to this VS_ENVIRONMENT, after it was copied from another.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["run_action"](options)
        except (JobNotFound, RunNotFound) as error:
            raise CommandError(str(error), returncode=NOT_FOUND) from None
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        except JobsError as error:
            raise CommandError(str(error)) from None

    # -- actions ------------------------------------------------------------------------------------

    def list_jobs(self, options: dict[str, Any]) -> None:
        rows = [_summary(definition) for definition in JobDefinition.objects.current().select_related("scheduled")]
        self._print(options, rows, _table(rows, ("id", "schedule", "enabled", "next_run_time")))

    def show(self, options: dict[str, Any]) -> None:
        definition = JobDefinition.objects.select_related("scheduled").find(options["job_id"])
        last = definition.runs.order_by("-id").values("id", "status", "scheduled_for", "started_at", "error").first()
        more = {"title": definition.title, "function": definition.function, "kwargs": definition.kwargs, "problem": definition.problem}
        details = _summary(definition) | more | {"last_run": last}
        self._print(options, details, "\n".join(f"{name}: {value}" for name, value in details.items()))

    def run_now(self, options: dict[str, Any]) -> None:
        run = JobDefinition.objects.find(options["job_id"]).request_run(_author(), options["kwargs"])
        self._print(options, {"id": run.pk, "job": run.job_id, "status": run.status}, f"run {run.pk} of {run.job_id} is queued")

    def pause(self, options: dict[str, Any]) -> None:
        definition = JobDefinition.objects.find(options["job_id"]).pause(_author(), options["until"], options["reason"])
        until = options["until"].isoformat() if options["until"] else "somebody resumes it"
        self._print(options, _summary(definition), f"{definition.pk} is paused until {until}")

    def resume(self, options: dict[str, Any]) -> None:
        definition = JobDefinition.objects.find(options["job_id"]).resume(_author())
        self._print(options, _summary(definition), f"{definition.pk} is resumed")

    def next_runs(self, options: dict[str, Any]) -> None:
        times = JobDefinition.objects.find(options["job_id"]).schedule.upcoming(now(), options["count"])
        self._print(options, times, "\n".join(moment.isoformat() for moment in times) or "it does not fire again")

    def cancel(self, options: dict[str, Any]) -> None:
        run = JobRun.objects.find(options["run_id"]).request_cancel(_author().name)
        self._print(options, {"id": run.pk, "status": run.status}, f"run {run.pk}: {'cancelled' if not run.is_active else 'asked to stop'}")

    def export(self, options: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(export_definitions(), indent=2, ensure_ascii=False))

    def import_file(self, options: dict[str, Any]) -> None:
        counts = import_definitions(_read_json(options["file"]), _author())
        self._print(options, counts, ", ".join(f"{count} {what}" for what, count in counts.items()))

    def audit(self, options: dict[str, Any]) -> None:
        moment = database_now()
        found = list(audit(options["since"] or moment - timedelta(days=1), moment))
        bad = [entry for entry in found if entry.missing or entry.problem]
        rows = [{"job": entry.job_id, "missing": entry.missing, "slots": entry.unanswered, "problem": entry.problem} for entry in bad]
        slots, missing = sum(entry.slots for entry in found), sum(entry.missing for entry in found)
        lines = [f"{entry.job_id}: {entry.problem or slot.isoformat()}" for entry in bad for slot in (entry.unanswered or [moment])]
        lines.append(f"{slots} slots of {len(found)} jobs, {missing} without an answer")
        self._print(options, {"slots": slots, "missing": missing, "jobs": rows}, "\n".join(lines))
        if bad:
            raise SystemExit(1)

    def adopt(self, options: dict[str, Any]) -> None:
        row = DatabaseEnvironment.objects.adopt()
        self._print(options, {"environment": row.name}, f"the database belongs to {row.name!r} now; its schedulers fire within seconds")

    def _print(self, options: dict[str, Any], data: Any, text: str) -> None:
        self.stdout.write(json.dumps(data, default=_json_default, ensure_ascii=False) if options["json"] else text)


def _author() -> Author:
    return Author(name=getpass.getuser(), source="cli")


def _summary(definition: JobDefinition) -> dict[str, Any]:
    try:
        next_run_time = definition.scheduled.next_run_time
    except ScheduledJob.DoesNotExist:
        next_run_time = None
    return {
        "id": definition.pk,
        "schedule": definition.schedule.describe(),
        "enabled": definition.enabled,
        "next_run_time": next_run_time,
        "revision": definition.revision,
    }


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    if not rows:
        return "no jobs"
    lines = [list(columns), *([_text(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:%Y-%m-%d %H:%M:%S %Z}" if isinstance(value, datetime) else "-" if value is None else str(value)


def _json_default(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _json_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError
    return value


def _read_json(path: str) -> Any:
    try:
        if path == "-":
            return json.load(sys.stdin)
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- beside stdin, the same call
            return json.load(file)
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}") from None
