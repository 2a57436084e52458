"""The mod catalogue: every mod of the mod database, with details and releases of the installed ones."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from vsadmin.game.rules.compatibility import ReleaseFacts

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager

    from vsadmin.game.upstream.moddb import ListedMod, ModDetails, Release

DETAILS_STAY_FRESH = timedelta(days=1)
"""Details expire because authors add game versions to old releases, and the mod list does not show that."""

CHUNK = 250
"""Rows in one transaction; short transactions, because on SQLite they block every other writer."""


def chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


class CatalogModQuerySet(models.QuerySet["CatalogMod"]):
    def current(self) -> CatalogModQuerySet:
        """Mods that are in the mod database's list."""
        return self.filter(withdrawn_at__isnull=True)

    def store(self, listed: Sequence[ListedMod], fetched_at: datetime) -> dict[str, int]:
        """Store the mod list in small transactions; only changed rows are written, and missing mods are marked as withdrawn.

        Returns the number of `added`, `changed` and `withdrawn` mods.
        """
        known = dict(self.values_list("pk", "digest"))
        withdrawn = set(self.filter(withdrawn_at__isnull=False).values_list("pk", flat=True))
        changed = [row for row in map(CatalogMod.of, listed) if known.get(row.pk) != row.digest or row.pk in withdrawn]
        for chunk in chunks(changed):
            self.bulk_create(chunk, update_conflicts=True, unique_fields=["modid"], update_fields=[*CatalogMod.LISTED, "digest", "withdrawn_at"])
        gone = known.keys() - withdrawn - {mod.modid for mod in listed}
        for chunk in chunks(gone):
            self.filter(pk__in=chunk).update(withdrawn_at=fetched_at)
        added = sum(row.pk not in known for row in changed)
        return {"added": added, "changed": len(changed) - added, "withdrawn": len(gone)}

    def by_identifier(self) -> dict[str, int]:
        """The primary key of the mod for each identifier, in lower case.

        When two mods claim one identifier, a listed mod wins over a withdrawn one, then a mod over a tool, then the one with more downloads.
        """
        found: dict[str, int] = {}
        rows = self.values_list("pk", "identifiers", "type", "downloads", "withdrawn_at")
        for pk, identifiers, *_rank in sorted(rows, key=lambda row: (row[4] is None, row[2] == "mod", row[3])):
            found.update((identifier.lower(), pk) for identifier in identifiers)
        return found

    def stale(self, now: datetime) -> list[CatalogMod]:
        """Mods with missing details, details from before the latest release, or details older than a day."""
        return [mod for mod in self.order_by("pk") if not mod.has_fresh_details(now)]


class CatalogMod(models.Model):
    """One mod of the mod database; the details are filled only for installed mods."""

    LISTED = ("assetid", "name", "summary", "identifiers", "author", "urlalias", "side", "type", "tags", "downloads", "follows", "released_at")

    modid = models.PositiveIntegerField(_("number"), primary_key=True)
    assetid = models.PositiveIntegerField(default=0)
    name = models.CharField(_("name"), max_length=200)
    summary = models.CharField(_("summary"), max_length=500, blank=True)
    identifiers = models.JSONField(_("identifiers"), default=list)
    author = models.CharField(_("author"), max_length=100, blank=True)
    urlalias = models.CharField(max_length=100, blank=True)
    side = models.CharField(_("side"), max_length=20, blank=True)
    type = models.CharField(_("type"), max_length=20, blank=True)
    tags = models.JSONField(_("tags"), default=list)
    downloads = models.PositiveIntegerField(_("downloads"), default=0)
    follows = models.PositiveIntegerField(_("follows"), default=0)
    released_at = models.DateTimeField(_("last release"), null=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)
    digest = models.CharField(max_length=32, editable=False)

    description = models.TextField(_("description"), default="", blank=True)
    homepage_url = models.CharField(_("home page"), max_length=500, default="", blank=True)
    source_url = models.CharField(_("source code"), max_length=500, default="", blank=True)
    issues_url = models.CharField(_("issue tracker"), max_length=500, default="", blank=True)
    detailed_at = models.DateTimeField(_("details updated"), null=True)
    detailed_release_at = models.DateTimeField(null=True)

    releases: RelatedManager[ModRelease]

    objects = CatalogModQuerySet.as_manager()

    class Meta:
        verbose_name = _("mod")
        verbose_name_plural = _("mods in the catalogue")
        ordering = ("-released_at",)
        indexes = (models.Index(fields=["-released_at"], name="game_mod_released"),)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, listed: ListedMod) -> CatalogMod:
        values = listed.model_dump(exclude={"modid", "modidstrs", "lastreleased"})
        values |= {"identifiers": listed.modidstrs, "released_at": listed.lastreleased}
        digest = hashlib.blake2b(repr(sorted(values.items())).encode(), digest_size=16).hexdigest()
        return cls(modid=listed.modid, digest=digest, **values)

    @property
    def url(self) -> str:
        """The mod's page in the mod database."""
        return f"{settings.MODDB_URL}/show/mod/{self.assetid}" if self.assetid else settings.MODDB_URL

    def has_fresh_details(self, now: datetime) -> bool:
        return self.detailed_at is not None and self.detailed_release_at == self.released_at and now - self.detailed_at < DETAILS_STAY_FRESH

    def store_details(self, details: ModDetails, releases: Sequence[Release], fetched_at: datetime) -> None:
        """Store the details and replace the releases; a release that upstream retracted is deleted."""
        self.description, self.homepage_url = details.text, details.homepageurl
        self.source_url, self.issues_url = details.sourcecodeurl, details.issuetrackerurl
        self.detailed_at, self.detailed_release_at = fetched_at, self.released_at
        with transaction.atomic():
            self.save(update_fields=["description", "homepage_url", "source_url", "issues_url", "detailed_at", "detailed_release_at"])
            self.releases.all().delete()
            ModRelease.objects.filter(pk__in=[release.releaseid for release in releases]).delete()
            ModRelease.objects.bulk_create(ModRelease.of(self, release) for release in releases)


class ModReleaseQuerySet(models.QuerySet["ModRelease"]):
    def facts_by_identifier(self, mods: Iterable[int]) -> dict[tuple[int, str], list[ReleaseFacts]]:
        """The releases of these mods by mod and identifier; one page of the mod database may hold several mods."""
        found: dict[tuple[int, str], list[ReleaseFacts]] = defaultdict(list)
        for release in self.filter(mod__in=mods).order_by("pk"):
            found[release.mod_id, release.identifier.lower()].append(release.facts)
        return found


class ModRelease(models.Model):
    """One release of an installed mod."""

    releaseid = models.PositiveIntegerField(_("number"), primary_key=True)
    mod = models.ForeignKey(CatalogMod, models.CASCADE, related_name="releases", verbose_name=_("mod"))
    identifier = models.CharField(_("identifier"), max_length=100, blank=True)
    version = models.CharField(_("version"), max_length=40)
    game_versions = models.JSONField(_("for game versions"), default=list)
    filename = models.CharField(_("file"), max_length=255, blank=True)
    file_url = models.CharField(max_length=500, blank=True)
    released_at = models.DateTimeField(_("released"), null=True)
    changelog = models.TextField(_("changes"), blank=True)

    objects = ModReleaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("release")
        verbose_name_plural = _("releases")
        ordering = ("-released_at", "-releaseid")

    def __str__(self) -> str:
        return f"{self.identifier} {self.version}"

    @classmethod
    def of(cls, mod: CatalogMod, release: Release) -> ModRelease:
        return cls(
            releaseid=release.releaseid,
            mod=mod,
            identifier=release.modidstr,
            version=release.modversion,
            game_versions=release.game_versions,
            filename=release.filename,
            file_url=release.mainfile,
            released_at=release.created,
            changelog=release.changelog,
        )

    @property
    def facts(self) -> ReleaseFacts:
        return ReleaseFacts(version=self.version, game_versions=self.game_versions, has_file=bool(self.file_url))
