"""The form field of a duration."""

from __future__ import annotations

from typing import Any, Self, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst

from jobs.admin.durations import parse_duration, too_long, write_duration
from jobs.models import MAX_INTERVAL_SECONDS, JobDefinition


class DurationField(forms.CharField):
    """A number of seconds, typed and shown as `15m` or `1d 12h`.  An empty field gives `empty_value`."""

    widget = forms.TextInput(attrs={"size": 12, "autocomplete": "off", "spellcheck": "false"})

    def __init__(self, *, label: Any = None, help_text: Any = "", empty_value: int | None = None) -> None:
        super().__init__(label=label, help_text=help_text, required=False, empty_value=cast("Any", empty_value))

    @classmethod
    def of_column(cls, name: str, *, help_text: Any = None, empty_value: int | None = None) -> Self:
        """The field of a column of `JobDefinition`, with the column's label and, unless given, help text."""
        column: Any = JobDefinition._meta.get_field(name)
        return cls(label=capfirst(column.verbose_name), help_text=column.help_text if help_text is None else help_text, empty_value=empty_value)

    def prepare_value(self, value: Any) -> Any:
        return write_duration(value) if isinstance(value, int) and value >= 0 else value

    def clean(self, value: Any) -> int | None:
        text: Any = super().clean(value)
        if not isinstance(text, str):
            return cast("int | None", text)
        seconds = parse_duration(text)
        if seconds > MAX_INTERVAL_SECONDS:
            raise too_long()
        return seconds

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except ValidationError:
            return True
