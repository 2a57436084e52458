"""Definitions that come from a fixture are unapplied, even if the fixture says otherwise."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import pre_save
from django.dispatch import receiver

from jobs.models.definition import JobDefinition


@receiver(pre_save, sender=JobDefinition)
def forget_what_another_database_applied(instance: JobDefinition, *, raw: bool, **more: Any) -> None:
    """A dump says what was applied in the database that it was made from; in this one it is an edit like others.

    A signal, because loaddata bypasses `save()` and only signals tell that a row comes from a fixture.  The scheduler
    that applies the revision writes its history record; written here it could collide with one in the dump.
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
