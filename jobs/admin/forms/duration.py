"""The form field for lengths of time as people write them."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from jobs.admin.durations import parse_duration, write_duration
from jobs.models import MAX_INTERVAL_SECONDS


class DurationField(forms.CharField):
    """Whole seconds, typed and shown as `15m` or `1d 12h`; an empty field is `empty_value`."""

    widget = forms.TextInput(attrs={"size": 12, "autocomplete": "off", "spellcheck": "false"})

    def __init__(self, *, label: Any = None, help_text: Any = "", empty_value: int | None = None) -> None:
        super().__init__(label=label, help_text=help_text, required=False, empty_value=cast("Any", empty_value))

    def prepare_value(self, value: Any) -> Any:
        return write_duration(value) if isinstance(value, int) and value >= 0 else value

    def clean(self, value: Any) -> int | None:  # a CharField by its widget, a number by its value
        text: Any = super().clean(value)
        if not isinstance(text, str):
            return cast("int | None", text)
        seconds = parse_duration(text)
        if seconds > MAX_INTERVAL_SECONDS:
            raise ValidationError(_("That is longer than a leap year (366d)."), code="too_long")
        return seconds

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except ValidationError:
            return True
