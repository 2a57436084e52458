"""Verbs on one job (from its page) and on many (from the list): ask, check, act, answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import structlog
from django.contrib import messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.admin.access import demand, may, person
from jobs.admin.forms import RunForm, RunManyForm
from jobs.admin.job.confirmation import confirm_change
from jobs.admin.job.verbs import VERBS, Verb
from jobs.exceptions import JobNotFound, JobsError
from jobs.models import JobDefinition, JobRun

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Base = ModelAdmin[JobDefinition]
else:
    Base = object

log = structlog.get_logger()


def find_or_404(job_id: str) -> JobDefinition:
    try:
        return JobDefinition.objects.find(job_id)
    except JobNotFound as error:
        raise Http404(str(error)) from None


def _action_of(verb: Verb) -> Callable[..., HttpResponse]:
    def action(model_admin: ActionsMixin, request: HttpRequest, queryset: QuerySet[JobDefinition]) -> HttpResponse:
        return model_admin.act_on(request, verb, list(queryset))

    action.__name__ = verb.name
    return action


class ActionsMixin(Base):
    """The verbs as actions of the list and as pages of a job."""

    def get_urls(self) -> list[URLPattern]:
        own = [path(f"<slug:job_id>/{name}/", self.admin_site.admin_view(self.verb_view), {"name": name}, f"jobs_jobdefinition_{name}") for name in VERBS]
        return own + super().get_urls()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {verb.name: (_action_of(verb), verb.name, verb.label) for verb in VERBS.values() if may(request, verb.permission)}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Stock admin answers an action that the person may not do with "No action selected".
        for name in request.POST.getlist("action"):
            if name and (name not in VERBS or not may(request, VERBS[name].permission)):
                raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def verb_view(self, request: HttpRequest, job_id: str, name: str) -> HttpResponse:
        demand(request, VERBS[name].permission)
        return self.act_on(request, VERBS[name], [find_or_404(job_id)], one=True)

    def act_on(self, request: HttpRequest, verb: Verb, definitions: list[JobDefinition], *, one: bool = False) -> HttpResponse:
        """Ask first; act when the answer comes back confirmed and valid."""
        demand(request, verb.permission)
        form = _form_for(verb, definitions, request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, verb, definitions, form, one=one)
        with transaction.atomic() if verb.all_or_none else nullcontext():
            made = [outcome for definition in definitions if (outcome := _perform(request, verb, definition, form)) is not None]
        return self._answer(request, verb, made, definitions, one=one)

    def _ask(self, request: HttpRequest, verb: Verb, definitions: list[JobDefinition], form: Any, *, one: bool) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": verb.label,
            "subtitle": str(definitions[0]) if one else None,
            "opts": self.opts,
            "verb": verb,
            "form": form,
            "definitions": definitions[:50],
            "more": max(len(definitions) - 50, 0),
            "selected": [] if one else [definition.pk for definition in definitions],
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "one": definitions[0] if one else None,
        }
        return TemplateResponse(request, "admin/jobs/jobdefinition/verb.html", context)

    def _answer(self, request: HttpRequest, verb: Verb, made: list[Any], asked: list[JobDefinition], *, one: bool) -> HttpResponse:
        if one and made and isinstance(made[0], JobRun):
            messages.success(request, str(verb.done))
            return HttpResponseRedirect(reverse("admin:jobs_jobrun_change", args=[made[0].pk]))
        if one:
            target = made[0] if made else asked[0]
            if made:
                confirm_change(request, target.pk, str(verb.done))
            return HttpResponseRedirect(reverse("admin:jobs_jobdefinition_change", args=[target.pk]))
        if made:
            text = ngettext("%(done)s %(count)d job.", "%(done)s %(count)d jobs.", len(made))
            messages.success(request, text % {"done": verb.done, "count": len(made)})
        return HttpResponseRedirect(request.get_full_path())


def _form_for(verb: Verb, definitions: list[JobDefinition], data: Any) -> Any:
    if verb.form is RunForm:
        return RunForm(definitions[0], data) if len(definitions) == 1 else RunManyForm(definitions, data)
    return verb.form(data)


def _perform(request: HttpRequest, verb: Verb, definition: JobDefinition, form: Any) -> Any:
    """What the verb made of one definition; None, and a message that says why, when it refused."""
    try:
        made = verb.perform(definition, person(request), form)
    except (JobsError, ValidationError) as error:
        why = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        messages.error(request, _("%(job)s: %(why)s") % {"job": definition, "why": why})
        return None
    if not isinstance(made, JobRun):  # a requested run is logged by the model, with whoever asked for it
        log.info("job_changed", job=made.pk, change=verb.name, person=request.user.get_username(), source="admin")
    return made
