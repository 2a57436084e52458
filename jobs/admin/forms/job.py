"""The form of a job's page, and its schedule alone for the preview."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.text import format_lazy
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.admin.forms.arguments import JSON_FIELD, PREFIX, argument_fields, initial_of, kwargs_of
from jobs.admin.forms.conflict import Conflict
from jobs.admin.forms.duration import DurationField
from jobs.admin.numbers import expected_revision
from jobs.admin.wording import show_value
from jobs.models import JobDefinition, Trigger

if TYPE_CHECKING:
    JobModelForm = forms.ModelForm[JobDefinition]
else:
    JobModelForm = forms.ModelForm

SCHEDULE = ("trigger", "interval_seconds", "cron", "run_at", "timezone", "starts_at", "ends_at", "jitter_seconds")
LATENESS = ("misfire_grace_seconds", "coalesce", "max_instances")
FAILURE = ("timeout_seconds", "max_retries", "retry_backoff_seconds", "retry_abandoned", "executor")
RETENTION = ("keep_runs", "keep_days")
FIELDS = ("title", "function", "enabled", *SCHEDULE, *LATENESS, *FAILURE, *RETENTION)
EXAMPLES = gettext_lazy("90 (seconds), 15m, 4h or 1d 12h.")


class LocalTimeInput(forms.DateTimeInput):
    """The browser's date and time picker, to the second."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M:%S", attrs={"step": 1})


class LocalTimeField(forms.DateTimeField):
    """Date and time in the site's time zone, which the help text names.

    In the hour that comes twice the browser's picker cannot say which is meant: it is the first, unless the field still
    shows a stored time of the second.
    """

    def __init__(self, *, label: Any, help_text: Any = "") -> None:
        zone = format_lazy("{} {}.", gettext_lazy("Time in"), settings.TIME_ZONE)
        super().__init__(label=label, required=False, widget=LocalTimeInput(), help_text=format_lazy("{} {}", help_text, zone) if help_text else zone)

    def to_python(self, value: Any) -> datetime | None:
        try:
            return super().to_python(value)
        except ValidationError as error:
            local = (error.params or {}).get("datetime")
            if error.code != "ambiguous_timezone" or local is None:
                raise
            zone = get_current_timezone()
            first: datetime = local.replace(tzinfo=zone)
            if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
                raise  # the clock leaves this time out
            return first.astimezone(UTC)  # Python takes no local time of this hour for equal to any in another zone

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data != self.widget.format_value(self.prepare_value(initial))) and super().has_changed(initial, data)


class ScheduleForm(JobModelForm):
    """The fields that decide when a job runs."""

    interval_seconds = DurationField(
        label=gettext_lazy("Every"), empty_value=0, help_text=format_lazy("{} {}", EXAMPLES, gettext_lazy("0 takes the job off the schedule."))
    )
    run_at = LocalTimeField(label=gettext_lazy("Run at"))
    starts_at = LocalTimeField(label=gettext_lazy("Not before"), help_text=gettext_lazy("Intervals are counted from here."))
    ends_at = LocalTimeField(label=gettext_lazy("Not after"))
    jitter_seconds = DurationField.of_column("jitter_seconds", empty_value=0)

    class Meta:
        model = JobDefinition
        fields: tuple[str, ...] = SCHEDULE
        widgets = {"timezone": forms.TextInput(attrs={"list": "vs-timezones", "autocomplete": "off", "spellcheck": "false"})}
        help_texts = {
            "cron": gettext_lazy("Minute, hour, day, month, weekday: “30 2 * * 1-5” is 02:30 on weekdays. Or @hourly, @daily, @weekly."),
            "timezone": gettext_lazy("Time zone of the cron schedule, with daylight saving time. Example: Europe/Vienna."),
        }

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name, field in self.fields.items():
            if isinstance(field, LocalTimeField) and name in self.cleaned_data:
                initial = self.get_initial_for_field(field, name)
                if not field.has_changed(initial, self[name].data):
                    self.cleaned_data[name] = initial
        if self.cleaned_data.get("trigger") == Trigger.INTERVAL and not str(self.data.get(self.add_prefix("interval_seconds"), "")).strip():
            self.add_error("interval_seconds", _("Enter an interval such as 15m. 0 takes the job off the schedule."))
        return cleaned

    def add_error(self, field: str | None, error: Any) -> None:
        """Errors of fields that this form does not have, such as the arguments as a whole, go to the top of the page."""
        for name, messages in getattr(error, "error_dict", {field: error}).items():
            super().add_error(name if name in self.fields else None, messages)


class JobForm(ScheduleForm):
    """All fields of a job that staff can edit.

    `expected_revision` is the revision that the page was rendered from.  When another user has changed the row since,
    the form takes over the fields that only the other user changed, marks those that both changed, and is not valid:
    its user reviews the result and saves again.
    """

    expected_revision = forms.IntegerField(widget=forms.HiddenInput, required=False)
    reason = forms.CharField(label=gettext_lazy("Reason (optional)"), required=False, max_length=100, help_text=gettext_lazy("Shown in the job's history."))
    misfire_grace_seconds = DurationField.of_column("misfire_grace_seconds")
    timeout_seconds = DurationField.of_column("timeout_seconds", help_text=gettext_lazy("A run that takes longer is stopped. Empty: no limit."))
    retry_backoff_seconds = DurationField.of_column("retry_backoff_seconds", empty_value=30, help_text=gettext_lazy("Doubles with each attempt."))

    class Meta(ScheduleForm.Meta):
        fields: tuple[str, ...] = FIELDS
        help_texts = ScheduleForm.Meta.help_texts | {
            "enabled": gettext_lazy("Off: scheduled runs stop. You can still run it manually."),
            "max_retries": gettext_lazy("How many times a failed run is retried."),
            "executor": gettext_lazy("A separate process can always be stopped, but takes longer to start."),
            "keep_runs": gettext_lazy("Older runs are deleted. Empty: keep all."),
            "keep_days": gettext_lazy("Older runs are deleted. Empty: keep forever."),
        }

        error_messages = {"function": {"invalid_choice": gettext_lazy("The function “%(value)s” no longer exists.")}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kwargs_before = self.instance.kwargs
        self.initial = {"expected_revision": self.instance.revision, **self._shown(self.instance), **self.initial}
        self.conflict = self._find_conflict()
        self.overlapping = self._take_theirs(self.conflict) if self.conflict else []

    # -- arguments --------------------------------------------------------------------------------

    @property
    def arguments(self) -> dict[str, forms.Field]:
        return {name: field for name, field in self.fields.items() if name == JSON_FIELD or name.startswith(PREFIX)}

    def _shown(self, row: Any) -> dict[str, Any]:
        """Initial values of the fields for a job or a record of its history."""
        values = {name: getattr(row, name) for name in self.fields if hasattr(row, name) and name != JSON_FIELD}
        return values | initial_of(row.kwargs, self.arguments)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not any(name in self.errors for name in self.arguments):
            self.instance.kwargs = kwargs_of(self.cleaned_data, self.arguments)
        for name in self.overlapping:
            theirs = show_value(*self._stored(name))
            self.add_error(name, _("%(author)s changed this to %(value)s. Save again to use your value.") % {"author": self._authors, "value": theirs})
        if self.conflict:
            self.add_error(None, _("%(author)s changed this job while you were editing. Your changes are not saved yet.") % {"author": self._authors})
        return cleaned

    def changes(self) -> dict[str, Any]:
        """The fields that the user changed, for `JobDefinition.edit`."""
        changes = {name: self.cleaned_data[name] for name in self.changed_data if name in FIELDS}
        return changes if self.instance.kwargs == self.kwargs_before else changes | {"kwargs": self.instance.kwargs}

    # -- conflicts --------------------------------------------------------------------------------

    def _find_conflict(self) -> Conflict | None:
        sent = str(self.data.get("expected_revision", ""))
        if not self.is_bound or self.instance._state.adding or (expected := expected_revision(sent)) is None:
            return None
        return Conflict.since(self.instance, expected)

    @property
    def _authors(self) -> str:
        return (self.conflict.authors if self.conflict else "") or _("Another user")

    def _stored(self, name: str) -> tuple[str, Any]:
        column = JSON_FIELD if name.startswith(PREFIX) else name
        return column, getattr(self.conflict.current if self.conflict else self.instance, column)

    def _take_theirs(self, conflict: Conflict) -> list[str]:
        """Put values that only another user changed into the form; return the fields that both changed."""
        before = self._shown(conflict.before) if conflict.before else {}
        current, data, overlapping = self._shown(conflict.current), cast("QueryDict", self.data).copy(), []
        for name, field in self.fields.items():
            if name not in current or before.get(name) == current[name]:
                continue
            sent = field.widget.value_from_datadict(self.data, self.files, name)
            if not field.has_changed(_whole_seconds(current[name]), sent):
                continue
            if conflict.before and not field.has_changed(_whole_seconds(before[name]), sent):
                _put(data, name, field, current[name])
            else:
                overlapping.append(name)
        data["expected_revision"] = str(conflict.current.revision)
        self.data = data
        return overlapping


def _whole_seconds(value: Any) -> Any:
    """A time without the fraction of a second, which the date picker cannot show."""
    return value.replace(microsecond=0) if hasattr(value, "microsecond") else value


def _put(data: Any, name: str, field: forms.Field, value: Any) -> None:
    if isinstance(field, forms.BooleanField):
        data[name] = "on" if value else "false"
        return
    shown = field.widget.format_value(field.prepare_value(value))
    data[name] = (shown[0] if shown else "") if isinstance(shown, list) else "" if shown is None else shown


def job_form(function: str, kwargs: Any) -> type[JobForm]:
    """The form class for a job that calls `function` with the arguments `kwargs`."""
    return type("JobForm", (JobForm,), argument_fields(function, kwargs))
