"""Upstream feeds: how old our data is, and what upstream last answered instead."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from vsadmin.game.admin.read_only import ReadOnlyAdmin, badge, time_column
from vsadmin.game.models import FeedState


class FeedStateAdmin(ReadOnlyAdmin):
    data_from = time_column("cached_at", _("data from"))
    last_asked = time_column("checked_at", _("last asked"))
    list_display = ("feed", "status", "data_from", "last_asked", "refused", "error")
    fields = ("feed", "status", "url", "data_from", "last_asked", "refused", "error")

    @admin.display(description=_("status"))
    def status(self, state: FeedState) -> SafeString:
        if not state.error:
            return badge(_("good"), "ok")
        return badge(_("old data"), "warn") if state.cached_at else badge(_("no data"), "bad")
