"""Field labels, field values and times as texts for staff."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from jobs.admin.durations import write_duration
from jobs.models import FOREVER, JobDefinition


def show_value(field: str, value: Any) -> str:
    """The value of a definition's field as text."""
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return show_time(value)
    if field.endswith("_seconds"):
        return write_duration(value)
    if choices := dict(_field(field).flatchoices):
        return str(choices.get(value, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def label_of(field: str) -> str:
    return str(_field(field).verbose_name)


def _field(name: str) -> models.Field[Any, Any]:
    return cast("models.Field[Any, Any]", JobDefinition._meta.get_field(name))


def show_time(at: datetime, zone: str = "") -> str:
    """Date and time in `zone` (default: the site's), which the text names."""
    if at == FOREVER:
        return _("until resumed")
    return f"{localtime(at, ZoneInfo(zone) if zone else None):%Y-%m-%d %H:%M:%S %Z}"
