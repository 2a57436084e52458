"""The game server's status and its history."""

from __future__ import annotations

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from vsadmin.game.admin.read_only import ReadOnlyAdmin, badge, time_column
from vsadmin.game.models import GameVersion, ServerStatus, ServerStatusChange
from vsadmin.game.observation import ServerState

STATE_BADGES = {
    ServerState.RUNNING: "ok",
    ServerState.STARTING: "warn",
    ServerState.STOPPING: "warn",
    ServerState.STOPPED: "bad",
    ServerState.NOT_INSTALLED: "muted",
}


class ServerFactsAdmin(ReadOnlyAdmin):
    """The columns that the status and its history share."""

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: ServerStatus | ServerStatusChange) -> SafeString:
        return badge(row.get_state_display(), STATE_BADGES[ServerState(row.state)])

    @admin.display(description=_("restart"), ordering="pending_restart")
    def restart(self, row: ServerStatus | ServerStatusChange) -> SafeString:
        return badge(_("Restart to apply changes"), "warn") if row.pending_restart else badge(_("No restart needed"), "ok")


class ServerStatusAdmin(ServerFactsAdmin):
    last_updated = time_column("observed_at", _("last updated"))
    start = time_column("started_at", _("started"))
    list_display = ("state_badge", "version", "update", "uptime", "port", "restart", "disk", "last_updated")
    fields = ("state_badge", "version", "update", "uptime", "start", "pid", "port", "restart", "changed_since", "disk", "last_updated")

    @admin.display(description=_("update"))
    def update(self, status: ServerStatus) -> SafeString:
        if not status.version:
            return badge(_("unknown"), "muted")
        count = GameVersion.objects.above(status.version).count()
        return badge(ngettext("%d newer version", "%d newer versions", count) % count, "warn") if count else badge(_("up to date"), "ok")

    @admin.display(description=_("uptime"))
    def uptime(self, status: ServerStatus) -> str | None:
        return timesince(status.started_at, status.observed_at) if status.started_at else None

    @admin.display(description=_("changed since the start"))
    def changed_since(self, status: ServerStatus) -> str:
        return ", ".join(status.pending_reasons)

    @admin.display(description=_("disk space"))
    def disk(self, status: ServerStatus) -> SafeString | None:
        space = status.disk_space
        if space is None:
            return None
        text = _("%(free)s free of %(total)s") % {"free": filesizeformat(space["free_bytes"]), "total": filesizeformat(space["total_bytes"])}
        return badge(text, "bad" if space["low"] else "ok")


class ServerStatusChangeAdmin(ServerFactsAdmin):
    time = time_column("seen_at", _("time"))
    list_display = ("time", "state_badge", "version", "port", "restart")
    list_filter = ("state",)
    date_hierarchy = "seen_at"
