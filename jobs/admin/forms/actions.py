"""The forms that an action shows before it acts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.admin.forms.arguments import argument_fields, initial_of, kwargs_of, shared_argument_fields
from jobs.admin.forms.job import LocalTimeField
from jobs.exceptions import JobArchived
from jobs.models import JobDefinition


class ReasonForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason (optional)"), required=False, max_length=100, help_text=gettext_lazy("Shown in the job's history."))


class PauseForm(ReasonForm):
    until = LocalTimeField(label=gettext_lazy("Until"), help_text=gettext_lazy("Empty: until resumed."))
    field_order = ("until", "reason")

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        if until is not None and until <= now():
            raise ValidationError(_("This time has passed."), code="past")
        return until


class RunForm(forms.Form):
    """The arguments of one run, initially those of the job."""

    def __init__(self, definition: JobDefinition, data: Any = None) -> None:
        super().__init__(data)
        self.fields.update(argument_fields(definition.function, definition.kwargs))
        self.initial = initial_of(definition.kwargs, self.fields)
        self.definition = definition

    def clean(self) -> dict[str, Any] | None:
        if not self.errors and (problem := self.definition.kwargs_problem(self.kwargs)):
            raise ValidationError(problem, code="kwargs")
        return self.cleaned_data

    @property
    def kwargs(self) -> Any:
        return kwargs_of(self.cleaned_data, self.fields)


class RunManyForm(forms.Form):
    """Arguments for one run of each of several jobs.  A field left empty keeps each job's own argument."""

    def __init__(self, definitions: Sequence[JobDefinition], data: Any = None) -> None:
        super().__init__(data)
        self.fields.update(shared_argument_fields([definition.function for definition in definitions]))
        self.definitions = definitions

    def clean(self) -> dict[str, Any] | None:
        """Check every job before any of them runs, and name each that cannot run."""
        if not self.errors:
            found = ((definition, self._problem(definition)) for definition in self.definitions)
            if problems := [f"{definition}: {problem}" for definition, problem in found if problem]:
                raise ValidationError(problems, code="refused")
        return self.cleaned_data

    def _problem(self, definition: JobDefinition) -> str | None:
        if definition.archived_at is not None:
            return str(JobArchived(definition.pk))
        own, typed = definition.kwargs, self.kwargs
        return definition.kwargs_problem(own | typed if isinstance(own, dict) and isinstance(typed, dict) else typed or own)

    @property
    def kwargs(self) -> Any:
        """The arguments for every run, or None for each job's own."""
        return kwargs_of(self.cleaned_data, self.fields) or None
