"""Game versions: the offers of each channel, the latest version of each, and the news about new ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.storable import make_storable
from vsadmin.game.exceptions import VersionNotFound
from vsadmin.game.rules.versions import BadVersion, parse_game_version

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager

    from vsadmin.game.upstream.feed import FeedVersion


class Channel(models.TextChoices):
    STABLE = "stable", _("stable")
    UNSTABLE = "unstable", _("unstable")


class Platform(models.TextChoices):
    LINUX = "linux", _("Linux")
    WINDOWS = "windows", _("Windows")


class GameVersionQuerySet(models.QuerySet["GameVersion"]):
    def current(self) -> GameVersionQuerySet:
        """Versions that upstream still offers."""
        return self.filter(withdrawn_at__isnull=True)

    def in_channel(self, channel: str) -> GameVersionQuerySet:
        return self.filter(channel=channel)

    def latest_in(self, channel: str) -> GameVersion | None:
        """The highest version of the channel that has a server build."""
        return self.in_channel(channel).filter(is_latest=True).first()

    def above(self, version: str) -> GameVersionQuerySet:
        """Versions that a server with `version` can upgrade to; unstable ones are included when `version` is a pre-release."""
        try:
            running = parse_game_version(version)
        except BadVersion:
            return self.none()
        offered = self.current().filter(sort_key__gt=running.sort_key, files__isnull=False).distinct()
        return offered if running.is_prerelease else offered.in_channel(Channel.STABLE)

    def find(self, version: str) -> GameVersion:
        """The version, withdrawn or not; raises VersionNotFound."""
        found = self.prefetch_related("files").filter(version=make_storable(version.removeprefix("v"))).first()
        if found is None:
            raise VersionNotFound(version)
        return found

    def apply_feed(self, channel: str, offered: Sequence[FeedVersion], fetched_at: datetime) -> list[VersionEvent]:
        """Store the versions that the channel offers; returns an event for each version higher than all versions known before.

        Versions that are missing in `offered` are marked as withdrawn and kept.  The first feed of a channel makes no events.
        """
        with transaction.atomic():
            highest_before = self.in_channel(channel).aggregate(key=models.Max("sort_key"))["key"]
            # A version in both feeds has been released, so it belongs to the stable channel.
            taken = set() if channel == Channel.STABLE else set(self.current().in_channel(Channel.STABLE).values_list("pk", flat=True))
            kept = [version for version in offered if version.text not in taken]
            self._store(channel, kept, fetched_at)
            ServerFile.objects.replace(kept)
            self._withdraw(channel, [version.text for version in kept], fetched_at)
            self._mark_latest()
            new = [version for version in kept if highest_before and version.parsed.sort_key > highest_before]
            return VersionEvent.objects.bulk_create(VersionEvent(version=version.text, channel=channel, seen_at=fetched_at) for version in reversed(new))

    def _store(self, channel: str, offered: Sequence[FeedVersion], fetched_at: datetime) -> None:
        known = set(self.current().in_channel(channel).values_list("pk", flat=True))
        new = (version for version in offered if version.text not in known)
        rows = (GameVersion(pk=version.text, channel=channel, sort_key=version.parsed.sort_key, first_seen_at=fetched_at) for version in new)
        self.bulk_create(rows, update_conflicts=True, unique_fields=["version"], update_fields=["channel", "sort_key", "withdrawn_at", "is_latest"])

    def _withdraw(self, channel: str, offered: Sequence[str], withdrawn_at: datetime) -> None:
        self.current().in_channel(channel).exclude(pk__in=offered).update(withdrawn_at=withdrawn_at, is_latest=False)

    def _mark_latest(self) -> None:
        """Mark the highest version with a server build; the feed's own `latest` flag can lag behind.

        Both channels are marked because a version may have moved from one to the other.
        """
        for channel in Channel.values:
            offered = self.current().in_channel(channel).order_by("-sort_key")
            latest = offered.filter(files__isnull=False).first() or offered.first()
            self.in_channel(channel).filter(is_latest=True).exclude(pk=latest and latest.pk).update(is_latest=False)
            self.filter(pk=latest and latest.pk, is_latest=False).update(is_latest=True)


class GameVersion(models.Model):
    """One version of the game.  Rows are never deleted, because news compares a version with the withdrawn ones too."""

    version = models.CharField(_("version"), max_length=40, primary_key=True)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    sort_key = models.CharField(max_length=30, editable=False)
    is_latest = models.BooleanField(_("latest"), default=False)
    first_seen_at = models.DateTimeField(_("first seen"))
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)

    files: RelatedManager[ServerFile]

    objects = GameVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("game version")
        verbose_name_plural = _("game versions")
        ordering = ("-sort_key",)
        indexes = (models.Index(fields=["channel", "-sort_key"], name="game_version_order"),)
        constraints = (
            models.CheckConstraint(name="game_version_channel_known", condition=Q(channel__in=Channel.values)),
            models.UniqueConstraint(name="game_version_one_latest", fields=["channel"], condition=Q(is_latest=True)),
            models.CheckConstraint(name="game_version_latest_is_offered", condition=Q(is_latest=False) | Q(withdrawn_at__isnull=True)),
        )

    def __str__(self) -> str:
        return self.version

    @property
    def server_file(self) -> ServerFile | None:
        """The server build for the platform of this machine; None when the version has none."""
        files = {file.platform: file for file in self.files.all()}
        return files.get(Platform.WINDOWS if sys.platform == "win32" else Platform.LINUX)


class ServerFileQuerySet(models.QuerySet["ServerFile"]):
    def replace(self, offered: Sequence[FeedVersion]) -> None:
        """Store the server files of these versions and delete files that the feed dropped; unchanged rows are not written."""
        known = {(row.version_id, row.platform): row for row in self.filter(version__in=[version.text for version in offered])}
        wanted = {(version.text, platform): ServerFile.of(version, platform) for version in offered for platform in version.files}
        self.filter(pk__in=[row.pk for key, row in known.items() if key not in wanted]).delete()
        changed = [row for key, row in wanted.items() if key not in known or known[key].facts != row.facts]
        self.bulk_create(changed, update_conflicts=True, unique_fields=["version", "platform"], update_fields=ServerFile.FACTS)


class ServerFile(models.Model):
    """The server build of one version for one platform."""

    FACTS = ("filename", "filesize", "md5", "cdn_url", "local_url")

    version = models.ForeignKey(GameVersion, models.CASCADE, related_name="files")
    platform = models.CharField(_("platform"), max_length=10, choices=Platform)
    filename = models.CharField(_("file"), max_length=255)
    filesize = models.CharField(_("size"), max_length=40, blank=True)
    md5 = models.CharField(_("MD5"), max_length=32, blank=True)
    cdn_url = models.CharField(_("download"), max_length=500, blank=True)
    local_url = models.CharField(_("download for customers"), max_length=500, blank=True)

    objects = ServerFileQuerySet.as_manager()

    class Meta:
        verbose_name = _("server file")
        verbose_name_plural = _("server files")
        ordering = ("platform",)
        constraints = (
            models.UniqueConstraint(name="game_server_file_one_a_platform", fields=["version", "platform"]),
            models.CheckConstraint(name="game_server_file_platform_known", condition=Q(platform__in=Platform.values)),
        )

    def __str__(self) -> str:
        return self.filename

    @classmethod
    def of(cls, version: FeedVersion, platform: str) -> ServerFile:
        file = version.files[platform]
        return cls(
            version_id=version.text,
            platform=platform,
            filename=file.filename,
            filesize=file.filesize,
            md5=file.md5,
            cdn_url=file.urls.cdn,
            local_url=file.urls.local,
        )

    @property
    def facts(self) -> tuple[str, ...]:
        return tuple(getattr(self, name) for name in self.FACTS)


class VersionEvent(models.Model):
    """The news that a version higher than all versions known before appeared in a channel."""

    version = models.CharField(_("version"), max_length=40)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    seen_at = models.DateTimeField(_("appeared"))

    class Meta:
        verbose_name = _("version news item")
        verbose_name_plural = _("version news")
        ordering = ("-seen_at", "-id")

    def __str__(self) -> str:
        return f"{self.version} ({self.channel})"
