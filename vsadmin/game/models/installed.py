"""Installed mods: the packages in the server's mod folders, compared with the mod database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from jobs.storable import make_storable
from vsadmin.game.models.catalog import CatalogMod, ModRelease
from vsadmin.game.rules.compatibility import assess
from vsadmin.game.rules.versions import OLDEST, parse_mod_version

if TYPE_CHECKING:
    from vsadmin.game.disk.mod_folder import FoundMod


DUPLICATE = "duplicate of"
"""The beginning of `problem` when the game loads another package of the same mod."""


class Compatibility(models.TextChoices):
    COMPATIBLE = "compatible", _("compatible")
    NOT_VERIFIED = "not_verified", _("not verified")
    INCOMPATIBLE = "incompatible", _("incompatible")
    UNKNOWN = "unknown", _("unknown")


class InstalledModQuerySet(models.QuerySet["InstalledMod"]):
    def with_updates(self) -> InstalledModQuerySet:
        return self.filter(update_available=True)

    def search(self, text: str) -> InstalledModQuerySet:
        """Mods whose identifier, name or file contains `text`."""
        term = make_storable(text)
        return self.filter(Q(modid__icontains=term) | Q(name__icontains=term) | Q(file__icontains=term))

    def in_order(self) -> InstalledModQuerySet:
        """Mods with an update first, then by name."""
        return self.order_by("-update_available", Lower("name"), "file")

    def replace(self, found: Collection[FoundMod], unreadable: Collection[str], scanned_at: datetime) -> dict[str, int]:
        """Store the packages found in the mod folders and delete rows of removed ones; unchanged rows are not written.

        `unreadable` holds prefixes of `file`: rows of a folder that could not be read are kept.
        """
        rows = {mod.file: self.model.of(mod, scanned_at) for mod in found}
        _explain_duplicates(rows.values())
        with transaction.atomic():
            known = {row.file: row for row in self.all()}
            gone = [row.pk for row in known.values() if row.file not in rows and not row.file.startswith(tuple(unreadable))]
            self.filter(pk__in=gone).delete()
            changed = [row for row in rows.values() if row.file not in known or known[row.file].package_facts != row.package_facts]
            self.bulk_create(changed, update_conflicts=True, unique_fields=["file"], update_fields=InstalledMod.PACKAGE)
        return {"installed": len(rows), "changed": len(changed), "removed": len(gone)}

    def link_to_catalog(self) -> None:
        """Link each mod to its page in the catalogue by identifier, ignoring case."""
        pages = CatalogMod.objects.by_identifier()
        changed = []
        for mod in self.all():
            page = pages.get(mod.modid.lower())
            if page != mod.catalog_id:
                mod.catalog_id = page
                changed.append(mod)
        self.bulk_update(changed, ["catalog"])

    def assess(self, game_version: str) -> None:
        """Assess every mod against its known releases and the installed game version; only changed rows are written."""
        mods = list(self.select_related("catalog"))
        facts = ModRelease.objects.facts_by_identifier({mod.catalog_id for mod in mods if mod.catalog_id})
        changed = []
        for mod in mods:
            before = mod.assessment
            releases = facts.get((mod.catalog_id or 0, mod.modid.lower()), [])
            found = assess(releases, mod.version, game_version, mod.game_minimum)
            mod.latest_version, mod.latest_compatible_version = found.latest, found.latest_compatible
            mod.update_available, mod.compatibility = found.update_available, found.compatibility
            mod.url = mod.catalog.url if mod.catalog else ""
            mod.checked_at = mod.catalog.detailed_at if mod.catalog else mod.checked_at
            if mod.assessment != before:
                changed.append(mod)
        self.bulk_update(changed, InstalledMod.ASSESSMENT)

    def mark_unlisted_as_checked(self, checked_at: datetime) -> None:
        """Set `checked_at` of mods without a page in the catalogue: the complete list was read and does not contain them."""
        self.filter(catalog__isnull=True).update(checked_at=checked_at)


class InstalledMod(models.Model):
    """One package in one of the server's mod folders."""

    PACKAGE = ("modid", "name", "version", "description", "authors", "side", "kind", "enabled", "problem", "game_minimum")
    ASSESSMENT = ("latest_version", "latest_compatible_version", "update_available", "compatibility", "url", "checked_at")

    file = models.CharField(_("file"), max_length=700, unique=True)
    kind = models.CharField(_("package"), max_length=10)
    modid = models.CharField(_("identifier"), max_length=100)
    name = models.CharField(_("name"), max_length=200)
    version = models.CharField(_("version"), max_length=40, blank=True)
    description = models.CharField(_("description"), max_length=2000, blank=True)
    authors = models.JSONField(_("authors"), default=list)
    side = models.CharField(_("side"), max_length=20)
    enabled = models.BooleanField(_("enabled"), default=True)
    problem = models.CharField(_("problem"), max_length=500, null=True, blank=True)
    game_minimum = models.CharField(_("minimum game version"), max_length=40, blank=True)
    first_seen_at = models.DateTimeField(_("first seen"))

    catalog = models.ForeignKey(CatalogMod, models.SET_NULL, null=True, blank=True, related_name="installed", verbose_name=_("mod page"))
    latest_version = models.CharField(_("latest"), max_length=40, blank=True, default="")
    latest_compatible_version = models.CharField(_("latest compatible"), max_length=40, blank=True, default="")
    update_available = models.BooleanField(_("update available"), default=False)
    compatibility = models.CharField(_("compatibility"), max_length=20, choices=Compatibility, default=Compatibility.UNKNOWN)
    url = models.CharField(_("mod page"), max_length=500, blank=True, default="")
    checked_at = models.DateTimeField(_("last checked"), null=True)

    objects = InstalledModQuerySet.as_manager()

    class Meta:
        verbose_name = _("installed mod")
        verbose_name_plural = _("installed mods")
        ordering = ("name", "file")
        constraints = (models.CheckConstraint(name="game_installed_compatibility_known", condition=Q(compatibility__in=Compatibility.values)),)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, found: FoundMod, first_seen_at: datetime) -> InstalledMod:
        info = found.modinfo
        return cls(
            file=found.file,
            kind=found.kind,
            modid=info.modid,
            name=info.name,
            version=info.version,
            description=info.description,
            authors=info.authors,
            side=info.side,
            enabled=found.enabled,
            problem=found.problem,
            game_minimum=info.game_minimum,
            first_seen_at=first_seen_at,
        )

    @property
    def is_duplicate(self) -> bool:
        """Whether the package is readable, but the game loads another one of the same mod."""
        return (self.problem or "").startswith(DUPLICATE)

    @property
    def package_facts(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.PACKAGE)

    @property
    def assessment(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.ASSESSMENT)


def _explain_duplicates(rows: Iterable[InstalledMod]) -> None:
    """Set `problem` on packages that the game does not load because another package of the same mod has a higher version."""
    packages: dict[str, list[InstalledMod]] = defaultdict(list)
    for row in rows:
        if row.enabled and not row.problem:
            packages[row.modid.lower()].append(row)
    for same in packages.values():
        loaded = max(sorted(same, key=lambda row: row.file), key=lambda row: parse_mod_version(row.version) or OLDEST)
        for other in same:
            if other is not loaded:
                other.problem = f"{DUPLICATE} {loaded.file}, which the game loads; remove one of the two"[:500]
