"""Data sources: when each feed was last checked and last updated, and the error of the last check."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from vsadmin.game.sanitize import clean_text
from vsadmin.game.upstream.conditional import Validators


class Feed(models.TextChoices):
    STABLE = "stable", _("stable versions")
    UNSTABLE = "unstable", _("unstable versions")
    MODS = "mods", _("mod list")


class FeedStateQuerySet(models.QuerySet["FeedState"]):
    def of(self, feed: str) -> FeedState:
        """The state of a feed; an unsaved row without times when it was never checked."""
        return self.filter(pk=feed).first() or self.model(pk=feed)

    def cached_at(self) -> dict[str, datetime | None]:
        """The time of each feed's last successful check, by feed."""
        known = dict(self.values_list("pk", "cached_at"))
        return {feed: known.get(feed) for feed in Feed.values}


class FeedState(models.Model):
    """The state of one upstream feed; its data is in the tables that the feed fills."""

    feed = models.CharField(_("feed"), max_length=20, primary_key=True, choices=Feed)
    url = models.CharField(max_length=500, default="")
    checked_at = models.DateTimeField(_("last checked"), null=True)
    cached_at = models.DateTimeField(_("last updated"), null=True)
    error = models.TextField(_("error"), default="", blank=True)
    refused = models.PositiveIntegerField(_("rejected items"), default=0)
    etag = models.CharField(max_length=500, default="")
    last_modified = models.CharField(max_length=100, default="")

    objects = FeedStateQuerySet.as_manager()

    class Meta:
        verbose_name = _("data source")
        verbose_name_plural = _("data sources")
        ordering = ("feed",)
        constraints = (models.CheckConstraint(name="game_feed_known", condition=models.Q(feed__in=Feed.values)),)

    def __str__(self) -> str:
        return str(self.get_feed_display())

    def validators_for(self, url: str) -> Validators:
        """The validators for a conditional request to `url`; empty when the stored data came from another address."""
        return Validators(self.etag, self.last_modified) if self.url == url and self.cached_at else Validators()

    def confirm(self, checked_at: datetime) -> None:
        """Record that the stored data is still current."""
        self.checked_at = self.cached_at = checked_at
        self.error = ""
        self.save()

    def succeed(self, checked_at: datetime, url: str, validators: Validators, refused: int) -> None:
        """Record that new data was stored.

        Call this after the data is written: while the old validators stand, a half-written feed is fetched again.
        """
        self.url, self.refused = url, refused
        self.etag, self.last_modified = validators.etag, validators.last_modified
        self.confirm(checked_at)

    def fail(self, checked_at: datetime, error: Exception) -> None:
        """Record the error; the data and `cached_at` stay."""
        self.checked_at = checked_at
        self.error = clean_text(str(error), 2000)
        self.save()
