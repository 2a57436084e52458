"""Field types of our tables."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext


class WholeNumberField(models.PositiveIntegerField):  # type: ignore[type-arg]  # Django's fields take no arguments at run time
    """Refuses 1.5, which Django would silently store as 1."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValidationError(gettext("%(value)s is not a whole number."), code="invalid", params={"value": value})
        return super().to_python(value)
