"""Field types of our tables, and ids that no job may have."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext

RESERVED_IDS = frozenset({"preview"})
"""What follows `/jobs/` in a route of the API: a job of this id could not be asked for."""


def reserved_id_problems(job_id: str) -> dict[str, str]:
    """Why a new job cannot have this id, by field."""
    return {"id": gettext('"%(id)s" is the name of a route of the API. Choose another id.') % {"id": job_id}} if job_id in RESERVED_IDS else {}


class WholeNumberField(models.PositiveIntegerField):  # type: ignore[type-arg]  # Django's fields take no arguments at run time
    """Refuses 1.5, which Django would silently store as 1."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValidationError(gettext("%(value)s is not a whole number."), code="invalid", params={"value": value})
        return super().to_python(value)
