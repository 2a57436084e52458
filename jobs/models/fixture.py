"""Definitions that come out of a fixture are unapplied, whatever the fixture says."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import pre_save
from django.dispatch import receiver

from jobs.models.definition import JobDefinition


@receiver(pre_save, sender=JobDefinition)
def forget_what_another_database_applied(instance: JobDefinition, *, raw: bool, **more: Any) -> None:
    """A dump says what had been applied where it was made; what it changes here is an edit like any other.

    A signal, because loaddata goes past `save()`; nothing else tells that a row comes from a fixture.  The scheduler
    that applies the revision writes its history: here it might come into the way of the dump's own.
    """
    if not raw:
        return
    instance.applied_revision = 0
    with transaction.atomic():
        before = JobDefinition.objects.select_for_update(no_key=True).filter(pk=instance.pk).first()
        if before is None:
            instance.date()
        else:
            instance.follow(before)
