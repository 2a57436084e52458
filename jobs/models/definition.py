"""Job definitions: the rows that staff edit.  Every rule about a definition lives here."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from jobs.clock import database_now
from jobs.exceptions import JobArchived, UnknownFunction
from jobs.models.author import CODE, Author
from jobs.models.code_defaults import CodeDefaults
from jobs.models.definition_set import APPLIED_FIELDS, JobDefinitionQuerySet
from jobs.models.fields import WholeNumberField, reserved_id_problems
from jobs.models.history import ChangeRecord
from jobs.models.readable import ReadableModel
from jobs.models.revisions import Expected
from jobs.models.run import JobRun
from jobs.models.schedule_columns import ScheduleColumns
from jobs.registry import get_function
from jobs.schedule.kinds import FOREVER, MAX_INTERVAL_SECONDS, Trigger
from jobs.schedule.validators import validate_timezone
from jobs.storable import json_problem

MAX_KEEP_DAYS = 36_500
"""A hundred years; 740,000 days before now is no date."""


class JobDefinition(CodeDefaults, ScheduleColumns, ReadableModel):
    """A job as staff define it: which function, when, with what arguments, and what to do when a run fails.

    A scheduler applies each row whose `applied_revision` differs from its `revision`.
    """

    id = models.SlugField(_("id"), max_length=100, primary_key=True, help_text=_("Letters, digits, - and _. Cannot be changed later."))
    title = models.CharField(_("title"), max_length=200, blank=True, help_text=_("Shown in lists. Leave empty to use the id."))
    kwargs = models.JSONField(_("arguments"), default=dict, blank=True)

    pause_reason = models.CharField(_("reason for the pause"), max_length=200, blank=True)

    max_instances = WholeNumberField(
        _("concurrent runs"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_("1 means: skip a run while the previous one is still going."),
    )
    coalesce = models.BooleanField(_("catch up with one run"), default=True, help_text=_("After downtime, run once instead of once for each missed time."))
    misfire_grace_seconds = WholeNumberField(
        _("start at the latest after"),
        null=True,
        blank=True,
        default=60,
        help_text=_("If a run cannot start within this time it is recorded as missed. Empty: however late."),
    )
    timeout_seconds = WholeNumberField(_("time limit"), null=True, blank=True, validators=[MinValueValidator(1)])
    max_retries = WholeNumberField(_("retries"), default=0, validators=[MaxValueValidator(100)])
    retry_backoff_seconds = WholeNumberField(_("wait before a retry"), default=30, validators=[MinValueValidator(1), MaxValueValidator(86_400)])
    retry_abandoned = models.BooleanField(_("retry if the scheduler crashes"), default=False, help_text=_("Turn on only if it is safe to run twice."))
    executor = models.CharField(_("run in"), max_length=20, default="local", choices=[("local", _("scheduler thread")), ("process", _("separate process"))])

    keep_runs = WholeNumberField(_("keep the last … runs"), null=True, blank=True, default=1000)
    keep_days = WholeNumberField(_("keep runs for … days"), null=True, blank=True, default=30, validators=[MaxValueValidator(MAX_KEEP_DAYS)])

    revision = models.PositiveIntegerField(default=1, editable=False)
    applied_revision = models.PositiveIntegerField(default=0, editable=False)
    applied_at = models.DateTimeField(null=True, editable=False)
    applied_by = models.CharField(max_length=100, default="", editable=False)
    pruned_until = models.DateTimeField(null=True, editable=False)
    """Runs of slots up to here may have been pruned."""
    updated_at = models.DateTimeField(default=now, editable=False)

    history = HistoricalRecords(bases=[ChangeRecord], excluded_fields=sorted(APPLIED_FIELDS), cascade_delete_history=False)
    objects = JobDefinitionQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ("id",)
        base_manager_name = "objects"
        permissions = (("run_jobdefinition", "Can run jobs"), ("pause_jobdefinition", "Can pause and resume jobs"))
        indexes = (models.Index(fields=["id"], name="jobs_unapplied", condition=~Q(applied_revision=F("revision"))),)
        constraints = (
            models.CheckConstraint(name="jobs_trigger_known", condition=Q(trigger__in=Trigger.values)),
            models.CheckConstraint(name="jobs_interval_in_range", condition=Q(interval_seconds__gte=0, interval_seconds__lte=MAX_INTERVAL_SECONDS)),
            models.CheckConstraint(name="jobs_cron_has_expression", condition=~Q(trigger="cron") | ~Q(cron="")),
            models.CheckConstraint(name="jobs_once_has_time", condition=~Q(trigger="once") | Q(run_at__isnull=False)),
            models.CheckConstraint(name="jobs_starts_before_it_ends", condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(starts_at__lt=F("ends_at"))),
            models.CheckConstraint(name="jobs_at_least_one_instance", condition=Q(max_instances__gte=1)),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django passes rows from the database as `args`.  For other rows, `date` replaces defaults of this machine's clock by the database's.
        self._undated = [] if args else [name for name in ("created_at", "scheduled_from") if name not in kwargs]

    def __str__(self) -> str:
        return self.title or self.pk

    # -- checking ---------------------------------------------------------------------------------

    def clean(self) -> None:
        """Check fields against each other; raises ValidationError keyed by field."""
        problems = self.schedule_problems() | (reserved_id_problems(self.pk) if self._state.adding else {})
        if kwargs_problem := self.kwargs_problem(self.kwargs):
            problems["kwargs"] = kwargs_problem
        if self.title and not self.title.strip():
            problems["title"] = gettext("Expected a title that can be seen, or none.")
        if problems:
            raise ValidationError(cast("dict[str, Any]", problems))

    def kwargs_problem(self, kwargs: Any) -> str | None:
        """Why the function can't be called with `kwargs`, or None."""
        if not isinstance(kwargs, dict):
            return gettext('Expected an object of names and values such as {"limit": 10}, got %(kind)s.') % {"kind": type(kwargs).__name__}
        try:
            return json_problem(kwargs) or get_function(self.function).bind(kwargs)
        except UnknownFunction:
            return None  # the field `function` has its own error

    @property
    def problem(self) -> str | None:
        """Why this row cannot be scheduled or run, or None: it was damaged by hand, or its function is gone."""
        if self.unreadable:
            return self.unreadable
        try:
            get_function(self.function)
            validate_timezone(self.timezone)
            self.clean()
        except UnknownFunction as error:
            return str(error)
        except ValidationError as error:
            return "; ".join(error.messages)
        return None

    # -- changing ---------------------------------------------------------------------------------

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; each change of a stored row takes a new revision."""
        with transaction.atomic():
            before = None if self._state.adding else JobDefinition.objects.select_for_update(no_key=True).filter(pk=self.pk).first()
            if before is None:
                self.date()
                self.scheduled_from = self.created_at
            else:
                self.follow(before)
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "revision", "updated_at", "scheduled_from"}
            super().save(*args, **kwargs)

    def date(self) -> None:
        """Stamp a new row by the database's clock, which schedulers go by; the web server's own may differ."""
        self.updated_at = self._history_date = now = database_now()
        for name in self._undated:
            setattr(self, name, now)

    def follow(self, before: JobDefinition) -> None:
        """Become the next revision of a stored row.  Lock that row first, so that edits get dates in their order."""
        self.updated_at = self._history_date = database_now()
        JobDefinition.objects.filter(pk=before.pk).record_unrecorded(self.updated_at, 1)
        self.revision = max(self.revision, before.revision) + 1
        if self.has_schedule_of(before):
            self.scheduled_from = before.scheduled_from
        else:
            # Never before the last change, although the clock may have been set back in between.
            self.scheduled_from = max(filter(None, (self.updated_at, before.scheduled_from, self._answered_until())))

    def _answered_until(self) -> datetime | None:
        """The latest slot that has a run: it belongs to the schedule that was in force then, even if the clock was set back since."""
        slots = self.runs.filter(cause="schedule").order_by("-scheduled_for").values_list("scheduled_for", flat=True)
        return slots.first()

    def save_by(self, author: Author, reason: str = "") -> None:
        """Save, with the author and the reason in the history."""
        self._history_user = author.user
        self._change_reason = reason[:100] or None
        with transaction.atomic():
            # Without force_insert Django tries an UPDATE first, and would overwrite a job that another process has just made.
            self.save(force_insert=self._state.adding)
            self.history.filter(revision=self.revision).update(source=author.source, author=author.name)

    def edit(self, author: Author, expected_revision: Expected = None, reason: str = "", **changes: Any) -> JobDefinition:
        """Change fields and return the new row; nothing is stored when anything is wrong.

        Raises RevisionMismatch when the row is at none of the expected revisions, ValidationError by field.
        """
        with transaction.atomic():
            row = JobDefinition.objects.find_locked(self.pk, expected_revision)
            row._assign(changes)
            row.note_overrides(changes, author)
            row.full_clean()
            row.save_by(author, reason)
        return row

    def _assign(self, changes: dict[str, Any]) -> None:
        for name, value in changes.items():
            field = next((field for field in self._meta.concrete_fields if field.name == name), None)
            if field is None:
                raise ValidationError({name: gettext("There is no such field.")})
            if (not field.editable or field.primary_key) and name != "archived_at":
                raise ValidationError({name: gettext("This field cannot be changed.")})
            setattr(self, name, value)

    def reset_to_default(self, field: str, author: Author, expected_revision: Expected = None, reason: str = "") -> JobDefinition:
        """Set one field to the code's default; raises as `edit`, and ValidationError when the code has no default for it."""
        return self.edit(author, expected_revision, reason or f"reset {field} to default", **{field: self.code_default(field)})

    def pause(self, author: Author, until: datetime | None = None, reason: str = "", expected_revision: Expected = None) -> JobDefinition:
        """Fire no slot before `until` (None: until `resume`)."""
        return self.edit(author, expected_revision, reason, paused_until=until or FOREVER, pause_reason=reason[:200])

    def resume(self, author: Author, reason: str = "", expected_revision: Expected = None) -> JobDefinition:
        """Fire slots again; those that passed during the pause are not caught up with."""
        return self.edit(author, expected_revision, reason, paused_until=None, pause_reason="")

    def archive(self, author: Author, reason: str = "", expected_revision: Expected = None) -> JobDefinition:
        """Remove the job from the schedule and keep its history; `restore` undoes it."""
        return self.edit(author, expected_revision, reason, archived_at=self.archived_at or database_now())

    def restore(self, author: Author, reason: str = "", expected_revision: Expected = None) -> JobDefinition:
        """Put an archived job back on the schedule."""
        return self.edit(author, expected_revision, reason, archived_at=None)

    def request_run(self, author: Author, kwargs: dict[str, Any] | None = None) -> JobRun:
        """Request a run now; a scheduler starts it at once, within the overlap policy.

        `kwargs` override single arguments of the definition.  Raises JobArchived or ValidationError.
        """
        if self.archived_at is not None:
            raise JobArchived(self.pk)
        merged = kwargs
        if isinstance(kwargs, dict) and isinstance(self.kwargs, dict):
            merged = self.kwargs | kwargs
        if merged is not None and (problem := self.kwargs_problem(merged)):
            raise ValidationError({"kwargs": problem})
        return JobRun.objects.request(self.pk, author.name, merged)

    def follow_code(self, defaults: dict[str, Any]) -> None:
        """Take over changed defaults of the code, except in fields that staff have changed."""
        if outdated := self.outdated_defaults(defaults):
            self.edit(CODE, reason="the code's defaults changed", **outdated)
