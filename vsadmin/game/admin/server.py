"""The game server: what it does now, and what it did."""

from __future__ import annotations

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _

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
    """What the present status and its history show alike."""

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, look: ServerStatus | ServerStatusChange) -> SafeString:
        return badge(look.get_state_display(), STATE_BADGES[ServerState(look.state)])

    @admin.display(description=_("restart"), ordering="pending_restart")
    def restart(self, look: ServerStatus | ServerStatusChange) -> SafeString:
        return badge(_("restart pending"), "warn") if look.pending_restart else badge(_("not needed"), "ok")


class ServerStatusAdmin(ServerFactsAdmin):
    last_seen = time_column("observed_at", _("seen"))
    start = time_column("started_at", _("started"))
    list_display = ("state_badge", "version", "behind", "uptime", "port", "restart", "disk", "last_seen")
    fields = ("state_badge", "version", "behind", "uptime", "start", "pid", "port", "restart", "changed_since", "disk", "last_seen")

    @admin.display(description=_("up to date"))
    def behind(self, status: ServerStatus) -> SafeString:
        if not status.version:
            return badge(_("not known"), "muted")
        count = GameVersion.objects.above(status.version).count()
        return badge(_("%d behind") % count, "warn") if count else badge(_("newest"), "ok")

    @admin.display(description=_("uptime"))
    def uptime(self, status: ServerStatus) -> str | None:
        return timesince(status.started_at, status.observed_at) if status.started_at else None

    @admin.display(description=_("changed since its start"))
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
    seen = time_column("seen_at", _("seen"))
    list_display = ("seen", "state_badge", "version", "port", "restart")
    list_filter = ("state",)
    date_hierarchy = "seen_at"
