"""What staff can do to a job beside editing it: each verb is one model call, one permission and one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.admin.forms import FIELDS, PauseForm, ReasonForm, RunForm, RunManyForm
from jobs.models import Author, JobDefinition

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Verb:
    """`perform` gets the definition, the author and the answers of `form`; it returns what the verb made, if anything.

    With `all_or_none` several definitions are one transaction, and `form` has to refuse for all of them.
    """

    name: str
    label: Text
    question: Text
    done: Text
    permission: str
    form: type[forms.Form]
    perform: Callable[[JobDefinition, Author, Any], Any]
    all_or_none: bool = False


def _run(definition: JobDefinition, author: Author, form: RunForm | RunManyForm) -> Any:
    return definition.request_run(author, form.kwargs)


def _pause(definition: JobDefinition, author: Author, form: PauseForm) -> Any:
    return definition.pause(author, form.cleaned_data["until"], form.cleaned_data["reason"])


def _resume(definition: JobDefinition, author: Author, form: ReasonForm) -> Any:
    return definition.resume(author, form.cleaned_data["reason"])


def _archive(definition: JobDefinition, author: Author, form: ReasonForm) -> Any:
    return definition.archive(author, form.cleaned_data["reason"])


def _restore(definition: JobDefinition, author: Author, form: ReasonForm) -> Any:
    return definition.restore(author, form.cleaned_data["reason"])


def _duplicate(definition: JobDefinition, author: Author, form: ReasonForm) -> Any:
    values = {name: getattr(definition, name) for name in (*FIELDS, "kwargs")}
    changes = {"id": _free_id(definition.pk), "title": f"{definition} (copy)"[:200], "enabled": False}
    return JobDefinition.objects.add(author, form.cleaned_data["reason"] or f"copied from {definition.pk}", **values | changes)


def _free_id(job_id: str) -> str:
    stem = job_id[:90]
    taken = set(JobDefinition.objects.filter(pk__startswith=f"{stem}-copy").values_list("pk", flat=True))
    number = next(n for n in range(1, len(taken) + 2) if f"{stem}-copy{n if n > 1 else ''}" not in taken)
    return f"{stem}-copy{number if number > 1 else ''}"


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "run",
            _("Run now"),
            _("It starts at once, or is skipped when that would overlap a run more often than the job allows."),
            _("Run requested."),
            "run_jobdefinition",
            RunForm,
            _run,
            all_or_none=True,
        ),
        Verb("pause", _("Pause"), _("No run starts by itself until then; it can still be run by hand."), _("Paused."), "pause_jobdefinition", PauseForm, _pause),
        Verb(
            "resume",
            _("Resume"),
            _("It goes on with its next slot; what was due meanwhile is not made up for."),
            _("Resumed."),
            "pause_jobdefinition",
            ReasonForm,
            _resume,
        ),
        Verb(
            "duplicate", _("Duplicate"), _("The copy starts switched off, so that it can be looked at first."), _("Copied."), "add_jobdefinition", ReasonForm, _duplicate
        ),
        Verb("archive", _("Archive"), _("It never runs again, and its history stays. It can be restored."), _("Archived."), "delete_jobdefinition", ReasonForm, _archive),
        Verb("restore", _("Restore"), _("It goes back on its schedule."), _("Restored."), "delete_jobdefinition", ReasonForm, _restore),
    )
}


def offered(definition: JobDefinition, now: Any) -> list[Verb]:
    """The verbs that make sense for a definition as it is."""
    around = ["restore", "duplicate"] if definition.archived_at is not None else ["run", "pause", "duplicate", "archive"]
    if definition.is_paused(now):
        around = ["resume" if name == "pause" else name for name in around]
    return [VERBS[name] for name in around]
