"""The verbs for a job besides editing it.  Each is one model call with its own permission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy as ngettext

from jobs.admin.forms import FIELDS, PauseForm, ReasonForm, RunForm, RunManyForm
from jobs.models import Author, JobDefinition

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Verb:
    """`perform` takes the definition, the author and the valid form, and returns the changed definition or the requested run.

    With `all_or_none` the runs of several definitions are one transaction, so `form` must check every definition first.
    """

    name: str
    label: Text
    question: Text
    done: Text
    done_many: Any
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
            _("Starts immediately, or is skipped if too many runs are in progress."),
            _("Run requested."),
            ngettext("%(n)d run requested.", "%(n)d runs requested.", "n"),
            "run_jobdefinition",
            RunForm,
            _run,
            all_or_none=True,
        ),
        Verb(
            "pause",
            _("Pause"),
            _("Scheduled runs stop until then. You can still run it manually."),
            _("Paused."),
            ngettext("%(n)d job paused.", "%(n)d jobs paused.", "n"),
            "pause_jobdefinition",
            PauseForm,
            _pause,
        ),
        Verb(
            "resume",
            _("Resume"),
            _("Continues with the next scheduled time. Runs that were due in the meantime are not caught up."),
            _("Resumed."),
            ngettext("%(n)d job resumed.", "%(n)d jobs resumed.", "n"),
            "pause_jobdefinition",
            ReasonForm,
            _resume,
        ),
        Verb(
            "duplicate",
            _("Duplicate"),
            _("The copy is switched off, so that you can check it first."),
            _("Duplicated."),
            ngettext("%(n)d job duplicated.", "%(n)d jobs duplicated.", "n"),
            "add_jobdefinition",
            ReasonForm,
            _duplicate,
        ),
        Verb(
            "archive",
            _("Archive"),
            _("Removes the job from the schedule. Its history is kept and you can restore it."),
            _("Archived."),
            ngettext("%(n)d job archived.", "%(n)d jobs archived.", "n"),
            "delete_jobdefinition",
            ReasonForm,
            _archive,
        ),
        Verb(
            "restore",
            _("Restore"),
            _("Puts the job back on its schedule."),
            _("Restored."),
            ngettext("%(n)d job restored.", "%(n)d jobs restored.", "n"),
            "delete_jobdefinition",
            ReasonForm,
            _restore,
        ),
    )
}


def available_verbs(definition: JobDefinition, now: datetime) -> list[Verb]:
    """The verbs that apply to the job in its present state."""
    names = ["restore", "duplicate"] if definition.archived_at is not None else ["run", "pause", "duplicate", "archive"]
    if definition.is_paused(now):
        names = ["resume" if name == "pause" else name for name in names]
    return [VERBS[name] for name in names]
