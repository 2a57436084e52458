"""What one observation of the game server holds: written by the watcher in tasks/, stored by the table in models/."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class ServerState(TextChoices):
    NOT_INSTALLED = "not_installed", _("not installed")
    STOPPED = "stopped", _("stopped")
    STARTING = "starting", _("starting")
    RUNNING = "running", _("running")
    STOPPING = "stopping", _("stopping")


@dataclass(frozen=True, slots=True)
class Observation:
    """The server's process, files and disk at one point in time.

    `version` is "" when it is unknown. `pid` and `started_at` are None when no process runs.
    `ready_at` is the first time this process was seen in the state `running`.
    """

    state: ServerState
    version: str
    port: int
    pid: int | None = None
    started_at: datetime | None = None
    ready_at: datetime | None = None
    pending_reasons: list[str] = field(default_factory=list)
    disk_total_bytes: int | None = None
    disk_free_bytes: int | None = None
    disk_needed_bytes: int = 0
