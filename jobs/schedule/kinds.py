"""The closed sets of values that schedules and their answers are made of, and their limits."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

MAX_INTERVAL_SECONDS = 31_622_400
"""A leap year."""

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""`paused_until` of a job that stays paused until it is resumed."""


class Trigger(TextChoices):
    INTERVAL = "interval", _("At an interval")
    CRON = "cron", _("On a cron schedule")
    ONCE = "once", _("Once")
    MANUAL = "manual", _("Manually only")


class Status(TextChoices):
    """The state of a run: the first two are in progress, the others are final."""

    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    TIMED_OUT = "timed_out", _("timed out")
    CANCELLED = "cancelled", _("cancelled")
    ABANDONED = "abandoned", _("abandoned")
    MISSED = "missed", _("missed")
    SKIPPED = "skipped", _("skipped")
