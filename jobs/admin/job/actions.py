"""Views of the verbs, for one job (from its page) and for several (from the list): confirm, check, perform, redirect."""

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

from jobs.admin.access import author_of, may, require
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
    action.short_description = verb.label  # type: ignore[attr-defined]  # as Django's decorator sets it
    return action


class ActionsMixin(Base):
    """The verbs as admin actions of the list and as pages of a job."""

    actions = [_action_of(verb) for verb in VERBS.values()]

    def get_urls(self) -> list[URLPattern]:
        own = [path(f"<slug:job_id>/{name}/", self.admin_site.admin_view(self.verb_view), {"name": name}, f"jobs_jobdefinition_{name}") for name in VERBS]
        return own + super().get_urls()

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Django 6.1 also asks for the actions of a job's own page, of which there are none."""
        location = {} if action_location is None else {"action_location": action_location}
        known = super().get_actions(request, **location)
        return {name: action for name, action in known.items() if name in VERBS and may(request, VERBS[name].permission)}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Stock admin answers an action without permission with "No action selected" instead of 403.
        for name in request.POST.getlist("action"):
            if name and (name not in VERBS or not may(request, VERBS[name].permission)):
                raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def verb_view(self, request: HttpRequest, job_id: str, name: str) -> HttpResponse:
        require(request, VERBS[name].permission)
        return self.act_on(request, VERBS[name], [find_or_404(job_id)], one=True)

    def act_on(self, request: HttpRequest, verb: Verb, definitions: list[JobDefinition], *, one: bool = False) -> HttpResponse:
        """Show the confirmation form; perform the verb once the form is confirmed and valid."""
        require(request, verb.permission)
        form = _form_for(verb, definitions, request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return self._confirm(request, verb, definitions, form, one=one)
        with transaction.atomic() if verb.all_or_none else nullcontext():
            made = [outcome for definition in definitions if (outcome := _perform(request, verb, definition, form)) is not None]
        return self._redirect(request, verb, made, definitions, one=one)

    def _confirm(self, request: HttpRequest, verb: Verb, definitions: list[JobDefinition], form: Any, *, one: bool) -> HttpResponse:
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
        return TemplateResponse(request, "admin/jobs/jobdefinition/confirm.html", context)

    def _redirect(self, request: HttpRequest, verb: Verb, made: list[Any], chosen: list[JobDefinition], *, one: bool) -> HttpResponse:
        if one and made and isinstance(made[0], JobRun):
            messages.success(request, str(verb.done))
            return HttpResponseRedirect(reverse("admin:jobs_jobrun_change", args=[made[0].pk]))
        if one:
            target = made[0] if made else chosen[0]
            if made:
                confirm_change(request, target.pk, str(verb.done))
            return HttpResponseRedirect(reverse("admin:jobs_jobdefinition_change", args=[target.pk]))
        if made:
            messages.success(request, str(verb.done_many % {"n": len(made)}))
        return HttpResponseRedirect(request.get_full_path())


def _form_for(verb: Verb, definitions: list[JobDefinition], data: Any) -> Any:
    if verb.form is RunForm:
        return RunForm(definitions[0], data) if len(definitions) == 1 else RunManyForm(definitions, data)
    return verb.form(data)


def _perform(request: HttpRequest, verb: Verb, definition: JobDefinition, form: Any) -> Any:
    """The result of the verb for one definition, or None after a message why it failed."""
    try:
        made = verb.perform(definition, author_of(request), form)
    except (JobsError, ValidationError) as error:
        reason = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        messages.error(request, _("%(job)s: %(reason)s") % {"job": definition, "reason": reason})
        return None
    if not isinstance(made, JobRun):  # the model logs a requested run
        log.info("job_changed", job=made.pk, change=verb.name, person=request.user.get_username(), source="admin")
    return made
