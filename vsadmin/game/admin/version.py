"""Game versions: the latest of each channel, the installed one, and the number of newer ones."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from vsadmin.game.admin.read_only import ReadOnlyAdmin, badge, outside_link, time_column
from vsadmin.game.models import Channel, FeedState, GameVersion, ServerStatus


class GameVersionAdmin(ReadOnlyAdmin):
    first_seen = time_column("first_seen_at", _("first seen"))
    withdrawn = time_column("withdrawn_at", _("withdrawn"))
    change_list_template = "admin/game/versions.html"
    list_display = ("version", "channel", "mark", "filename", "filesize", "download", "first_seen")
    list_filter = ("channel", "is_latest", ("withdrawn_at", admin.EmptyFieldListFilter))
    search_fields = ("version",)
    ordering = ("-sort_key",)
    fields = ("version", "channel", "mark", "first_seen", "withdrawn", "filename", "filesize", "md5", "download")

    def get_queryset(self, request: HttpRequest) -> Any:
        installed = ServerStatus.objects.filter(pk=ServerStatus.ONLY, version=OuterRef("version"))
        return super().get_queryset(request).annotate(is_installed=Exists(installed)).prefetch_related("files")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data |= self._overview()
        return response

    def _overview(self) -> dict[str, Any]:
        status = ServerStatus.objects.last_observed()
        installed = status.version if status else ""
        channels = [(channel, GameVersion.objects.latest_in(channel), FeedState.objects.of(channel)) for channel in Channel]
        return {"channels": channels, "installed": installed, "newer": GameVersion.objects.above(installed).count()}

    @admin.display(description=_("status"))
    def mark(self, version: GameVersion) -> SafeString | str:
        if getattr(version, "is_installed", False):
            return badge(_("installed"), "ok")
        if version.withdrawn_at:
            return badge(_("withdrawn"), "muted")
        return badge(_("latest"), "warn") if version.is_latest else ""

    @admin.display(description=_("server file"))
    def filename(self, version: GameVersion) -> str | None:
        return version.server_file.filename if version.server_file else None

    @admin.display(description=_("size"))
    def filesize(self, version: GameVersion) -> str | None:
        return version.server_file.filesize if version.server_file else None

    @admin.display(description=_("MD5"))
    def md5(self, version: GameVersion) -> str | None:
        return version.server_file.md5 if version.server_file else None

    @admin.display(description=_("download"))
    def download(self, version: GameVersion) -> SafeString | None:
        file = version.server_file
        return outside_link(file.cdn_url, _("download")) if file and file.cdn_url else None


class VersionEventAdmin(ReadOnlyAdmin):
    appeared = time_column("seen_at", _("appeared"))
    list_display = ("version", "channel", "appeared")
    list_filter = ("channel",)
    date_hierarchy = "seen_at"
