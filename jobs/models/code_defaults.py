"""The code's defaults of a definition, and the fields in which staff have changed them: staff's edits win, field by field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jobs.exceptions import UnknownFunction
from jobs.models.author import Author
from jobs.registry import function_choices, get_function


class CodeDefaults(models.Model):
    """The columns of a definition that tie it to the code."""

    function = models.CharField(_("function"), max_length=200, choices=function_choices)
    origin = models.CharField(max_length=10, default="staff", choices=[("code", _("code")), ("staff", _("staff"))], editable=False)
    overridden = models.JSONField(default=list, editable=False)

    class Meta:
        abstract = True

    def code_defaults(self) -> dict[str, Any]:
        """The code's current defaults by field; empty for a definition that staff made."""
        if self.origin != "code":
            return {}
        try:
            return get_function(self.function).definition_defaults() or {}
        except UnknownFunction:
            return {}

    def code_default(self, field: str) -> Any:
        """The code's default of one field; raises ValidationError when there is none."""
        defaults = self.code_defaults()
        if field not in defaults:
            raise ValidationError({field: gettext("The code has no default for this field.")})
        return defaults[field]

    def outdated_defaults(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """The `defaults` from which this row differs, without the fields that staff have changed."""
        if self.origin != "code":
            return {}
        return {name: value for name, value in defaults.items() if name not in self.overridden and getattr(self, name) != value}

    def note_overrides(self, changes: Iterable[str], author: Author) -> None:
        """Remember which of these fields now differ from the code."""
        if author.source == "code":
            return
        defaults = self.code_defaults()
        changed = {name for name in changes if name in defaults}
        away = {name for name in changed if getattr(self, name) != defaults[name]}
        self.overridden = sorted(set(self.overridden) - changed | away)
