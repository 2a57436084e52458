"""The game server: one row with the latest observation, and one row of history for each change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from vsadmin.game.models.feed_state import FeedState
from vsadmin.game.models.version import Channel, GameVersion
from vsadmin.game.observation import Observation, ServerState

KEEP_CHANGES = 1000


class ServerStatusQuerySet(models.QuerySet["ServerStatus"]):
    def last_observed(self) -> ServerStatus | None:
        """The latest observation, in one query; None before the first one."""
        return self.filter(pk=ServerStatus.ONLY).first()

    def summary(self) -> dict[str, Any]:
        """The latest observation with the latest available versions; before the first observation the state is `not_installed`."""
        status = self.last_observed()
        observed = status.as_dict if status else NOT_OBSERVED
        latest = dict(GameVersion.objects.filter(is_latest=True).values_list("channel", "version"))
        checks = FeedState.objects.filter(pk__in=Channel.values).aggregate(at=models.Max("checked_at"))
        return observed | {
            "available_stable_version": latest.get(Channel.STABLE),
            "available_unstable_version": latest.get(Channel.UNSTABLE),
            "version_last_checked": checks["at"],
        }

    def record(self, observation: Observation, observed_at: datetime) -> ServerStatusChange | None:
        """Store an observation; returns the new row of history, or None when none of the facts changed."""
        with transaction.atomic():
            before = self.select_for_update().filter(pk=ServerStatus.ONLY).first()
            status = self.model.of(observation, observed_at)
            status.save(force_insert=before is None, force_update=before is not None)
            if before is not None and before.facts == status.facts:
                return None
            return ServerStatusChange.objects.record(status)


NOT_OBSERVED: dict[str, Any] = {
    "state": ServerState.NOT_INSTALLED.value,
    "version": None,
    "uptime_seconds": None,
    "port": None,
    "pending_restart": False,
    "pending_reasons": [],
    "disk_space": None,
    "checked_at": None,
}


class ServerFacts(models.Model):
    """The columns that the status and its history share; a change of one of them makes a row of history."""

    FACTS = ("state", "version", "port", "pending_restart")

    state = models.CharField(_("state"), max_length=20, choices=ServerState)
    version = models.CharField(_("version"), max_length=40, blank=True)
    port = models.PositiveIntegerField(_("port"))
    pending_restart = models.BooleanField(_("restart needed"), default=False)

    class Meta:
        abstract = True

    @property
    def facts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.FACTS}


class ServerStatus(ServerFacts):
    """The latest observation of the game server, in the table's only row."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    pending_reasons = models.JSONField(_("changed since the start"), default=list)
    pid = models.PositiveIntegerField(_("process"), null=True)
    started_at = models.DateTimeField(_("started"), null=True)
    ready_at = models.DateTimeField(_("ready since"), null=True)
    disk_total_bytes = models.PositiveBigIntegerField(null=True)
    disk_free_bytes = models.PositiveBigIntegerField(null=True)
    disk_needed_bytes = models.PositiveBigIntegerField(default=0)
    observed_at = models.DateTimeField(_("last updated"))

    objects = ServerStatusQuerySet.as_manager()

    class Meta:
        verbose_name = _("game server")
        verbose_name_plural = _("game server")
        constraints = (
            models.CheckConstraint(name="game_server_one_row", condition=Q(id=1)),
            models.CheckConstraint(name="game_server_state_known", condition=Q(state__in=ServerState.values)),
        )

    def __str__(self) -> str:
        return str(self.get_state_display())

    @classmethod
    def of(cls, observation: Observation, observed_at: datetime) -> ServerStatus:
        return cls(
            state=observation.state,
            version=observation.version,
            port=observation.port,
            pending_restart=bool(observation.pending_reasons),
            pending_reasons=observation.pending_reasons,
            pid=observation.pid,
            started_at=observation.started_at,
            ready_at=observation.ready_at,
            disk_total_bytes=observation.disk_total_bytes,
            disk_free_bytes=observation.disk_free_bytes,
            disk_needed_bytes=observation.disk_needed_bytes,
            observed_at=observed_at,
        )

    @property
    def as_dict(self) -> dict[str, Any]:
        """The observation under the keys of the API and of /healthz."""
        return {
            "state": self.state,
            "version": self.version or None,
            "uptime_seconds": self.uptime_seconds,
            "port": self.port,
            "pending_restart": self.pending_restart,
            "pending_reasons": self.pending_reasons,
            "disk_space": self.disk_space,
            "checked_at": self.observed_at,
        }

    @property
    def uptime_seconds(self) -> int | None:
        """The age of the process at the latest observation, so that it stands still when the watch stops."""
        return max(0, int((self.observed_at - self.started_at).total_seconds())) if self.started_at else None

    @property
    def disk_space(self) -> dict[str, Any] | None:
        """The file system of the data folder; `low` when less is free than the limit at which the server stops itself."""
        if self.disk_total_bytes is None or self.disk_free_bytes is None:
            return None
        return {
            "total_bytes": self.disk_total_bytes,
            "used_bytes": max(0, self.disk_total_bytes - self.disk_free_bytes),
            "free_bytes": self.disk_free_bytes,
            "free_percent": round(100 * self.disk_free_bytes / self.disk_total_bytes, 1) if self.disk_total_bytes else 0.0,
            "low": self.disk_free_bytes < self.disk_needed_bytes,
        }


class ServerStatusChangeQuerySet(models.QuerySet["ServerStatusChange"]):
    def record(self, status: ServerStatus) -> ServerStatusChange:
        """Add a change and delete all but the last thousand."""
        change = self.create(seen_at=status.observed_at, **status.facts)
        if oldest := self.order_by("-pk").values_list("pk", flat=True)[KEEP_CHANGES : KEEP_CHANGES + 1].first():
            self.filter(pk__lte=oldest).delete()
        return change


class ServerStatusChange(ServerFacts):
    """The facts after a change, and the time of the observation that noticed it."""

    seen_at = models.DateTimeField(_("time"))

    objects = ServerStatusChangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("server change")
        verbose_name_plural = _("server history")
        ordering = ("-seen_at", "-id")

    def __str__(self) -> str:
        return f"{self.seen_at:%Y-%m-%d %H:%M:%S %Z}: {self.get_state_display()}"
