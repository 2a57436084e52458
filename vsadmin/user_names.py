"""Names that no user may have, because the history and the runs show them for something else."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models.signals import pre_save
from django.utils.translation import gettext as _

NAMES = frozenset({"scheduler", "code"})
PREFIXES = ("key ", "vs_api_key")
"""Of API keys: those of the admin, and those of the environment."""


def refuse_reserved_name(name: str) -> None:
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    if plain in NAMES or plain.startswith(PREFIXES):
        raise ValidationError(_("“%(name)s” is what the history calls a scheduler or an API key. Choose another name."), code="reserved", params={"name": name})


def _refuse_to_save(instance: Any, **_options: Any) -> None:
    """For what runs no validators: a shell, a fixture.  A user who has such a name already can still log in and be saved."""
    if instance._state.adding or not User.objects.filter(pk=instance.pk, username=instance.username).exists():
        refuse_reserved_name(instance.username)


def reserve_names() -> None:
    """Forms and `createsuperuser` run the validators of the field."""
    field: Any = User._meta.get_field("username")
    field.validators.append(refuse_reserved_name)
    pre_save.connect(_refuse_to_save, sender=User, dispatch_uid="vsadmin.user_names")
