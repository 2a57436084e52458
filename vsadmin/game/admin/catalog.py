"""The mod catalogue: every mod of the mod database, installed mods first."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from vsadmin.game.admin.read_only import ReadOnlyAdmin, badge, outside_link, time_column
from vsadmin.game.models import CatalogMod, InstalledMod


class CatalogModAdmin(ReadOnlyAdmin):
    last_release = time_column("released_at", _("last release"))
    list_display = ("name", "installed_badge", "author", "summary", "type", "side", "downloads", "last_release", "page")
    list_filter = ("type", "side", ("withdrawn_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "author", "summary", "identifiers")
    show_full_result_count = False
    fields = (
        "name",
        "author",
        "summary",
        "identifier_names",
        "tag_names",
        "type",
        "side",
        "downloads",
        "follows",
        "released_at",
        "withdrawn_at",
        "page",
        "about",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CatalogMod]:
        here = InstalledMod.objects.filter(catalog=OuterRef("pk"))
        return CatalogMod.objects.annotate(is_installed=Exists(here), has_update=Exists(here.with_updates()))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("-is_installed", "-has_update", "-released_at", "pk")

    @admin.display(description=_("installed"))
    def installed_badge(self, mod: CatalogMod) -> SafeString | str:
        if getattr(mod, "has_update", False):
            return badge(_("update available"), "warn")
        return badge(_("installed"), "ok") if getattr(mod, "is_installed", False) else ""

    @admin.display(description=_("identifiers"))
    def identifier_names(self, mod: CatalogMod) -> str:
        return ", ".join(mod.identifiers)

    @admin.display(description=_("tags"))
    def tag_names(self, mod: CatalogMod) -> str:
        return ", ".join(mod.tags)

    @admin.display(description=_("mod page"))
    def page(self, mod: CatalogMod) -> SafeString:
        return outside_link(mod.url, _("open"))

    @admin.display(description=_("about"))
    def about(self, mod: CatalogMod) -> SafeString:
        return render_to_string("admin/game/about.html", {"mod": mod})
