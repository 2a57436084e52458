"""Installed mods: available updates, compatibility with the installed game, and problems with packages."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from vsadmin.game.admin.read_only import ReadOnlyAdmin, badge, outside_link, time_column
from vsadmin.game.models import Compatibility, InstalledMod

COMPATIBILITY_BADGES = {
    Compatibility.COMPATIBLE: "ok",
    Compatibility.NOT_VERIFIED: "warn",
    Compatibility.INCOMPATIBLE: "bad",
    Compatibility.UNKNOWN: "muted",
}


class ProblemFilter(admin.SimpleListFilter):
    title = _("package")
    parameter_name = "package"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, object]]:  # type: ignore[override]  # lazy texts are fine
        return [("problem", _("unreadable or duplicate")), ("fine", _("OK"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[InstalledMod]) -> QuerySet[InstalledMod]:
        wanted = self.value()
        return queryset.filter(problem__isnull=wanted == "fine") if wanted in {"problem", "fine"} else queryset


class InstalledModAdmin(ReadOnlyAdmin):
    checked = time_column("checked_at", _("last checked"))
    first_seen = time_column("first_seen_at", _("first seen"))
    list_display = ("name", "version", "update", "compatibility_badge", "package", "enabled_badge", "file", "page", "checked")
    list_filter = ("update_available", "compatibility", ProblemFilter, "enabled", "side")
    search_fields = ("modid", "name", "file")
    list_select_related = ("catalog",)
    ordering = ("-update_available", "name", "file")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    "modid",
                    "version",
                    "description",
                    "author_names",
                    "side",
                    "file",
                    "kind",
                    "enabled_badge",
                    "problem",
                    "game_minimum",
                    "first_seen",
                )
            },
        ),
        (_("Mod database"), {"fields": ("update", "latest_version", "latest_compatible_version", "compatibility_badge", "page", "checked", "about", "releases")}),
    )

    @admin.display(description=_("update"), ordering="update_available")
    def update(self, mod: InstalledMod) -> SafeString | str:
        if mod.update_available:
            return badge(_("update to %s") % (mod.latest_compatible_version or mod.latest_version), "warn")
        return badge(_("up to date"), "ok") if mod.latest_version else badge(_("unknown"), "muted")

    @admin.display(description=_("compatibility"), ordering="compatibility")
    def compatibility_badge(self, mod: InstalledMod) -> SafeString:
        return badge(mod.get_compatibility_display(), COMPATIBILITY_BADGES[Compatibility(mod.compatibility)])

    @admin.display(description=_("package"), ordering="problem")
    def package(self, mod: InstalledMod) -> SafeString:
        if not mod.problem:
            return badge(_("OK"), "ok")
        return format_html("{} {}", badge(_("duplicate") if mod.is_duplicate else _("unreadable"), "bad"), mod.problem)

    @admin.display(description=_("enabled"), ordering="enabled")
    def enabled_badge(self, mod: InstalledMod) -> SafeString:
        return badge(_("on"), "ok") if mod.enabled else badge(_("off"), "muted")

    @admin.display(description=_("mod page"))
    def page(self, mod: InstalledMod) -> SafeString | None:
        return outside_link(mod.url, _("open")) if mod.url else None

    @admin.display(description=_("authors"))
    def author_names(self, mod: InstalledMod) -> str:
        return ", ".join(mod.authors)

    @admin.display(description=_("about"))
    def about(self, mod: InstalledMod) -> SafeString | None:
        return render_to_string("admin/game/about.html", {"mod": mod.catalog}) if mod.catalog else None

    @admin.display(description=_("releases"))
    def releases(self, mod: InstalledMod) -> SafeString | None:
        found = mod.catalog.releases.filter(identifier__iexact=mod.modid)[:20] if mod.catalog else []
        return render_to_string("admin/game/releases.html", {"releases": found, "installed": mod.version}) if found else None
