"""`manage.py jobs …`: list, change and run jobs from a shell.

Data goes to stdout, with `--json` as one JSON value; exit codes: 0 ok, 1 failed, 2 usage, 3 not found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.timezone import now

from jobs.clock import database_now
from jobs.exceptions import JobNotFound, JobsError, RunNotFound
from jobs.maintenance.audit import audit
from jobs.maintenance.transfer import export_definitions, import_definitions
from jobs.management.arguments import NOT_FOUND, actions_of, iso_time
from jobs.management.console import ConsoleCommand, one_line, printable, user_of_process
from jobs.models import Author, DatabaseEnvironment, JobDefinition, JobRun, ScheduledJob


class Command(ConsoleCommand):
    help = "List, show, run, pause and resume jobs; export, import and audit them."

    def add_arguments(self, parser: CommandParser) -> None:
        add = actions_of(parser)
        add("list", self.list_jobs, "List all jobs with their schedules and next runs.")
        add("show", self.show_job, "Show one job with its last run.").add_argument("job_id")
        run = add("run", self.run_now, "Request a run now.")
        run.add_argument("job_id")
        run.add_argument("--kwargs", type=_json_object, help="arguments as a JSON object; they override those of the job one by one")
        pause = add("pause", self.pause, "Pause a job until a time, or until it is resumed.")
        pause.add_argument("job_id")
        pause.add_argument("--until", type=iso_time, help="ISO 8601, e.g. 2026-12-24T18:00+01:00")
        pause.add_argument("--reason", default="")
        add("resume", self.resume, "Resume a paused job.").add_argument("job_id")
        upcoming_runs = add("next", self.next_runs, "List the next fire times of a job.")
        upcoming_runs.add_argument("job_id")
        upcoming_runs.add_argument("--count", type=int, default=5)
        add("cancel", self.cancel, "Cancel a run, or request its cancellation while it is running.").add_argument("run_id", type=int)
        add("export", self.export, "Print all definitions as JSON.")
        importing = add("import", self.import_file, "Create and change definitions from an export, all in one transaction.")
        importing.add_argument("file", help="the path of a file, or - for standard input")
        auditing = add("audit", self.audit, "Recompute every slot from the history of definitions, and print slots without a run and runs without a slot.")
        auditing.add_argument("--since", type=iso_time, help="ISO 8601; default: 24 hours ago")
        add("adopt", self.adopt, "Assign a database that was copied from another environment to this VS_ENVIRONMENT.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["run_action"](options)
        except (JobNotFound, RunNotFound) as error:
            raise CommandError(str(error), returncode=NOT_FOUND) from None
        except ValidationError as error:
            raise CommandError(printable("; ".join(error.messages))) from None
        except JobsError as error:
            raise CommandError(str(error)) from None

    # -- actions ------------------------------------------------------------------------------------

    def list_jobs(self, options: dict[str, Any]) -> None:
        rows = [_summary(definition) for definition in JobDefinition.objects.current().select_related("scheduled")]
        self.show(options, rows, _table(rows, ("id", "schedule", "enabled", "next_run_time")))

    def show_job(self, options: dict[str, Any]) -> None:
        definition = JobDefinition.objects.select_related("scheduled").find(options["job_id"])
        last = definition.runs.order_by("-id").values("id", "status", "scheduled_for", "started_at", "error").first()
        more = {"title": definition.title, "function": definition.function, "kwargs": definition.kwargs, "problem": definition.problem}
        details = _summary(definition) | more | {"last_run": last}
        self.show(options, details, "\n".join(f"{name}: {value}" for name, value in details.items()))

    def run_now(self, options: dict[str, Any]) -> None:
        run = JobDefinition.objects.find(options["job_id"]).request_run(_author(), options["kwargs"])
        self.show(options, {"id": run.pk, "job": run.job_id, "status": run.status}, f"run {run.pk} of {run.job_id} is queued")

    def pause(self, options: dict[str, Any]) -> None:
        definition = JobDefinition.objects.find(options["job_id"]).pause(_author(), options["until"], options["reason"])
        until = options["until"].isoformat() if options["until"] else "it is resumed"
        self.show(options, _summary(definition), f"{definition.pk} is paused until {until}")

    def resume(self, options: dict[str, Any]) -> None:
        definition = JobDefinition.objects.find(options["job_id"]).resume(_author())
        self.show(options, _summary(definition), f"{definition.pk} is resumed")

    def next_runs(self, options: dict[str, Any]) -> None:
        times = JobDefinition.objects.find(options["job_id"]).schedule.upcoming(now(), options["count"])
        self.show(options, times, "\n".join(at.isoformat() for at in times) or "no further fire times")

    def cancel(self, options: dict[str, Any]) -> None:
        run = JobRun.objects.find(options["run_id"]).request_cancel(_author().name)
        self.show(options, {"id": run.pk, "status": run.status}, f"run {run.pk}: {'cancellation requested' if run.is_active else 'cancelled'}")

    def export(self, options: dict[str, Any]) -> None:
        self.stdout.write(printable(json.dumps(export_definitions(), indent=2, ensure_ascii=False)))

    def import_file(self, options: dict[str, Any]) -> None:
        counts = import_definitions(_read_json(options["file"]), _author())
        self.show(options, counts, ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))

    def audit(self, options: dict[str, Any]) -> None:
        until = database_now()
        found = list(audit(options["since"] or until - timedelta(days=1), until))
        bad = [entry for entry in found if not entry.is_silent]
        rows = [
            {
                "job": entry.job_id,
                "missing": entry.missing,
                "slots": entry.unanswered,
                "surplus": entry.surplus,
                "unexpected": entry.unexpected,
                "problem": entry.problem,
            }
            for entry in bad
        ]
        slots, missing, surplus = (sum(getattr(entry, name) for entry in found) for name in ("slots", "missing", "surplus"))
        lines = [f"{entry.job_id}: {entry.problem}" for entry in bad if entry.problem]
        lines += [f"{entry.job_id}: {slot.isoformat()} has no run" for entry in bad for slot in entry.unanswered]
        lines += [f"{entry.job_id}: {slot.isoformat()} has a run and should not" for entry in bad for slot in entry.unexpected]
        lines.append(f"{slots} slots of {len(found)} jobs, {missing} without a run, {surplus} runs too many")
        self.show(options, {"slots": slots, "missing": missing, "surplus": surplus, "jobs": rows}, "\n".join(lines))
        if bad:
            raise SystemExit(1)

    def adopt(self, options: dict[str, Any]) -> None:
        row = DatabaseEnvironment.objects.adopt()
        self.show(options, {"environment": row.name}, f"the database now belongs to environment {row.name!r}; its schedulers will start runs within seconds")


def _author() -> Author:
    return Author(name=user_of_process(), source="cli")


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
    return f"{value:%Y-%m-%d %H:%M:%S %Z}" if isinstance(value, datetime) else "-" if value is None else one_line(str(value))


def _json_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError
    return value


def _read_json(path: str) -> Any:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return json.loads(text.removeprefix("\ufeff"))
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{path}: {error}") from None
