"""Definitions that come out of a fixture are unapplied, whatever the fixture says."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_save
from django.dispatch import receiver

from jobs.models.definition import JobDefinition


@receiver(pre_save, sender=JobDefinition)
def forget_what_another_database_applied(instance: JobDefinition, *, raw: bool, **more: Any) -> None:
    """A dump says what had been applied where it was made.

    A signal, because loaddata goes past `save()`; nothing else tells that a row comes from a fixture.
    """
    if raw:
        instance.applied_revision = 0
