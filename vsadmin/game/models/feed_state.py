"""Feeds: when each upstream answer was last asked for, last good, and what was wrong since."""

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
        """The state of a feed; one that was never asked for has no times."""
        return self.filter(pk=feed).first() or self.model(pk=feed)

    def cached_at(self) -> dict[str, datetime | None]:
        """When each feed's data was last confirmed, by feed."""
        known = dict(self.values_list("pk", "cached_at"))
        return {feed: known.get(feed) for feed in Feed.values}


class FeedState(models.Model):
    """What is known about one upstream answer; the data itself is in the tables that it fills."""

    feed = models.CharField(_("feed"), max_length=20, primary_key=True, choices=Feed)
    url = models.CharField(max_length=500, default="")
    checked_at = models.DateTimeField(_("last asked"), null=True)
    cached_at = models.DateTimeField(_("data from"), null=True)
    error = models.TextField(_("error"), default="", blank=True)
    refused = models.PositiveIntegerField(_("items refused"), default=0)
    etag = models.CharField(max_length=500, default="")
    last_modified = models.CharField(max_length=100, default="")

    objects = FeedStateQuerySet.as_manager()

    class Meta:
        verbose_name = _("upstream feed")
        verbose_name_plural = _("upstream feeds")
        ordering = ("feed",)
        constraints = (models.CheckConstraint(name="game_feed_known", condition=models.Q(feed__in=Feed.values)),)

    def __str__(self) -> str:
        return str(self.get_feed_display())

    def validators_for(self, url: str) -> Validators:
        """What to send so that unchanged data need not travel; another address has nothing in common with the data here."""
        return Validators(self.etag, self.last_modified) if self.url == url and self.cached_at else Validators()

    def confirm(self, moment: datetime) -> None:
        """The data stands as it was."""
        self.checked_at = self.cached_at = moment
        self.error = ""
        self.save()

    def succeed(self, moment: datetime, url: str, validators: Validators, refused: int) -> None:
        """New data is in the tables; call it last, so that a half-written answer is asked for again."""
        self.url, self.refused = url, refused
        self.etag, self.last_modified = validators.etag, validators.last_modified
        self.confirm(moment)

    def fail(self, moment: datetime, error: Exception) -> None:
        """The data and its age stay as they are."""
        self.checked_at = moment
        self.error = clean_text(str(error), 2000)
        self.save()
