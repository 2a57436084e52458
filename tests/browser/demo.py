"""Demo data: jobs, runs and changes as a server operator would have them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from math import sin
from typing import Any

from django.utils.timezone import now

from jobs.models import Author, JobDefinition, JobRun
from jobs.registry import all_functions

MIRA = Author("mira", "admin")
OTTO = Author("otto", "api")
ZONE = "Europe/Vienna"
JOBS: list[dict[str, Any]] = [
    {"id": "mod-cache", "title": "Refresh the mod cache", "interval_seconds": 3600, "seconds": 2.4},
    {"id": "server-versions", "title": "Check for new server versions", "interval_seconds": 28_800, "seconds": 0.8},
    {"id": "server-watch", "title": "Watch the game server", "interval_seconds": 600, "seconds": 0.03},
    {"id": "world-backup", "title": "Back up the world", "trigger": "cron", "cron": "30 2 * * *", "seconds": 184.0},
    {"id": "disk-report", "title": "Report free disk space", "interval_seconds": 14_400, "seconds": 0.4},
    {"id": "player-digest", "title": "Weekly digest of players", "trigger": "cron", "cron": "0 9 * * 1", "seconds": 6.1},
    {"id": "season-reset", "title": "Start the winter season", "trigger": "manual", "seconds": 41.0},
]
PROBLEMS = {3: "failed", 11: "timed_out", 19: "missed", 24: "failed"}


def register_functions() -> None:
    """Register the site's job functions in this process too."""
    if "pack_world" not in {function.name for function in all_functions()}:
        importlib.reload(importlib.import_module("tests.browser.jobs"))


def fill() -> None:
    """Fill an empty database with jobs, their changes and their runs."""
    runs: list[JobRun] = []
    for number, values in enumerate(JOBS):
        fields = {"function": "pack_world", "trigger": "interval", "timezone": ZONE} | {name: value for name, value in values.items() if name != "seconds"}
        definition = JobDefinition.objects.add(MIRA, **fields)
        runs.extend(_runs(definition, values["seconds"], healthy=number % 3 == 1))
    JobRun.objects.bulk_create(sorted(runs, key=lambda run: run.scheduled_for))
    _edit()


def _runs(definition: JobDefinition, seconds: float, *, healthy: bool) -> Iterator[JobRun]:
    step = timedelta(seconds=definition.interval_seconds or 86_400)
    newest = now().replace(microsecond=0) - step / 3
    for index in range(34, 0, -1):
        status = "succeeded" if healthy else PROBLEMS.get(index, "succeeded")
        duration = seconds * (8 if status == "timed_out" else 1 + 0.5 * sin(index))
        yield _run(definition, newest - step * (index - 1), status, duration)


def _run(definition: JobDefinition, slot: datetime, status: str, seconds: float) -> JobRun:
    run = JobRun(job=definition, scheduled_for=slot, queued_at=slot, status=status, finished_at=slot + timedelta(seconds=seconds))
    if status == "missed":
        run.reason = "no scheduler was running at that time"
        return run
    run.started_at, run.duration_seconds, run.instance = slot + timedelta(seconds=0.01), seconds, "vs-host-4711"
    if status == "failed":
        run.error = "ConnectTimeout: the mod database did not answer within 10 s"
        run.traceback = 'Traceback (most recent call last):\n  File "vsadmin/game/upstream/client.py", line 88, in fetch\nConnectTimeout'
    elif status == "timed_out":
        run.reason = f"stopped after its time limit of {seconds:.1f} s"
    else:
        run.result = {"mods": 214, "updates": 3}
        run.log = "12:00:00.120 info asking the mod database\n12:00:02.310 info 214 mods, 3 updates"
    return run


def _edit() -> None:
    backup = JobDefinition.objects.find("world-backup")
    backup = backup.edit(OTTO, reason="Season start: more players at night", cron="30 3 * * *")
    backup = backup.edit(MIRA, reason="The disk is slow, give it time", timeout_seconds=1800, max_retries=2)
    backup.edit(MIRA, reason="Back to the quiet hour", cron="30 2 * * *", kwargs={"world": "home"})
    JobDefinition.objects.find("disk-report").pause(MIRA, now() + timedelta(hours=20), "disk is being replaced")
    JobDefinition.objects.find("mod-cache").edit(OTTO, reason="Mod authors asked", interval_seconds=1800)
