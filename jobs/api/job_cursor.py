"""Cursors in the list of jobs: the next page begins after the last job of this one, though rows come and go meanwhile.

A cursor holds the order of the list, and the last job's value in that order and its id.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError
from django.db.models import Q

from jobs.models import JobDefinition
from jobs.storable import is_storable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TIMES = {"next_run_time": "scheduled__next_run_time", "updated_at": "updated_at"}
"""The orders by time, and their columns."""


def cursor_of(job: JobDefinition, order: str) -> str:
    """The cursor of the page that follows this job."""
    name = order.removeprefix("-")
    value = getattr(getattr(job, "scheduled", None), name, None) if name == "next_run_time" else getattr(job, name)
    plain = (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([order, plain, job.pk]).encode()).decode().rstrip("=")


def after(cursor: str, order: str) -> Q:
    """The jobs that follow the one of the cursor; raises ValidationError."""
    try:
        read_order, value, job_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return _after(_same(order, read_order), _read(order.removeprefix("-"), value), _text(job_id))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise ValidationError({"cursor": "Expected the cursor from `next` of a previous page of the same list, in the same order."}) from None


def _same(order: str, read_order: object) -> str:
    if read_order != order:
        raise ValueError
    return order


def _text(value: object) -> str:
    if not isinstance(value, str) or not is_storable(value):
        raise ValueError
    return value


def _read(name: str, value: object) -> str | datetime | None:
    if name not in TIMES:
        return _text(value)
    if value is None and name == "next_run_time":
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return EPOCH + value * MICROSECOND


def _after(order: str, value: str | datetime | None, job_id: str) -> Q:
    """By value, those without one last; jobs of the same value by id."""
    name = order.removeprefix("-")
    column = TIMES.get(name, name)
    if value is None:
        return Q(**{f"{column}__isnull": True, "id__gt": job_id})
    beyond = Q(**{f"{column}__lt" if order.startswith("-") else f"{column}__gt": value})
    if name == "id":
        return beyond
    without = Q(**{f"{column}__isnull": True}) if name == "next_run_time" else Q()
    return beyond | Q(**{column: value, "id__gt": job_id}) | without
