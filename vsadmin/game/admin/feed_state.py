"""Data sources: the age of the stored data, and the error of the last check."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from vsadmin.game.admin.read_only import ReadOnlyAdmin, badge, time_column
from vsadmin.game.models import FeedState


class FeedStateAdmin(ReadOnlyAdmin):
    last_updated = time_column("cached_at", _("last updated"))
    last_checked = time_column("checked_at", _("last checked"))
    list_display = ("feed", "status", "last_updated", "last_checked", "refused", "error")
    fields = ("feed", "status", "url", "last_updated", "last_checked", "refused", "error")

    @admin.display(description=_("status"))
    def status(self, state: FeedState) -> SafeString:
        if not state.error:
            return badge(_("up to date"), "ok")
        return badge(_("stale"), "warn") if state.cached_at else badge(_("no data"), "bad")
