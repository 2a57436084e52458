"""Job definitions: the rows that staff edit.  Every rule about a definition lives here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.utils.timezone import now
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from jobs.clock import database_now
from jobs.exceptions import JobArchived, RevisionMismatch, UnknownFunction
from jobs.models.author import CODE, Author
from jobs.models.definition_set import APPLIED_FIELDS, SCHEDULE_FIELDS, JobDefinitionQuerySet
from jobs.models.run import JobRun
from jobs.registry import function_choices, get_function
from jobs.schedule.kinds import FOREVER, MAX_INTERVAL_SECONDS, Trigger
from jobs.schedule.schedule import Schedule
from jobs.schedule.triggers import TICK
from jobs.schedule.validators import validate_cron, validate_timezone


class WholeNumberField(models.PositiveIntegerField):  # type: ignore[type-arg]  # Django's fields take no arguments at run time
    """A number that is never rounded silently: 1.5 seconds is an error, not 1."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValidationError(gettext("%(value)s is no whole number."), code="invalid", params={"value": value})
        return super().to_python(value)


class ChangeRecord(models.Model):
    """What the history keeps beside who and when: from where the change came."""

    source = models.CharField(max_length=10, default="shell")
    author = models.CharField(max_length=150, default="")

    class Meta:
        abstract = True


class JobDefinition(models.Model):
    """A job as staff define it: which function, when, with what arguments, and what to do when things go wrong.

    The scheduler compares `applied_revision` with `revision` and applies whatever differs.
    """

    id = models.SlugField(_("id"), max_length=100, primary_key=True, help_text=_("Permanent: letters, digits, hyphens and underscores."))
    title = models.CharField(_("title"), max_length=200, blank=True)
    function = models.CharField(_("function"), max_length=200, choices=function_choices)
    kwargs = models.JSONField(_("arguments"), default=dict, blank=True)

    trigger = models.CharField(pgettext_lazy("a job", "runs"), max_length=10, choices=Trigger, default=Trigger.INTERVAL)
    interval_seconds = WholeNumberField(
        _("interval"),
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_INTERVAL_SECONDS)],
        help_text=_("Seconds between two runs, 1 to 31,622,400; 0 takes the job off the schedule."),
    )
    cron = models.CharField(_("cron expression"), max_length=255, blank=True, help_text=_("Five fields as in cron, or @hourly, @daily, @weekly, …"))
    run_at = models.DateTimeField(_("run at"), null=True, blank=True)
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[validate_timezone])
    starts_at = models.DateTimeField(_("not before"), null=True, blank=True)
    ends_at = models.DateTimeField(_("not after"), null=True, blank=True)
    jitter_seconds = WholeNumberField(
        _("jitter"), default=0, validators=[MaxValueValidator(86_400)], help_text=_("Each slot moves by a fixed share of this, so that many jobs do not start at once.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    pause_reason = models.CharField(_("why paused"), max_length=200, blank=True)

    max_instances = WholeNumberField(_("runs at the same time"), default=1, validators=[MinValueValidator(1), MaxValueValidator(1000)])
    coalesce = models.BooleanField(_("one run for several missed slots"), default=True)
    misfire_grace_seconds = WholeNumberField(
        _("still on time for"), null=True, blank=True, default=60, help_text=_("Seconds after the slot; a later start is recorded as missed. Empty: late is never lost.")
    )
    timeout_seconds = WholeNumberField(_("time limit"), null=True, blank=True, validators=[MinValueValidator(1)])
    max_retries = WholeNumberField(_("retries"), default=0, validators=[MaxValueValidator(100)])
    retry_backoff_seconds = WholeNumberField(_("wait before a retry"), default=30, validators=[MinValueValidator(1), MaxValueValidator(86_400)])
    retry_abandoned = models.BooleanField(_("retry when the process died"), default=False)
    executor = models.CharField(_("runs in"), max_length=20, default="local", choices=[("local", _("the scheduler")), ("process", _("a process of its own"))])

    keep_runs = WholeNumberField(_("keep so many runs"), null=True, blank=True, default=1000)
    keep_days = WholeNumberField(_("keep runs for days"), null=True, blank=True, default=30)

    revision = models.PositiveIntegerField(default=1, editable=False)
    applied_revision = models.PositiveIntegerField(default=0, editable=False)
    applied_at = models.DateTimeField(null=True, editable=False)
    applied_by = models.CharField(max_length=100, default="", editable=False)
    pruned_until = models.DateTimeField(null=True, editable=False)
    """Runs of slots up to here may have been pruned."""
    origin = models.CharField(max_length=10, default="staff", choices=[("code", _("code")), ("staff", _("staff"))], editable=False)
    overridden = models.JSONField(default=list, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)
    scheduled_from = models.DateTimeField(default=now, editable=False)
    """When the schedule last changed: slots up to here belong to the schedule before."""

    history = HistoricalRecords(bases=[ChangeRecord], excluded_fields=sorted(APPLIED_FIELDS), cascade_delete_history=False)
    objects = JobDefinitionQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ("id",)
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
        # Rows out of the database come with `args`.  What nobody gave is this machine's time so far, and becomes the database's.
        self._guessed = [] if args else [name for name in ("created_at", "scheduled_from") if name not in kwargs]

    def __str__(self) -> str:
        return self.title or self.pk

    # -- checking ---------------------------------------------------------------------------------

    def clean(self) -> None:
        """Check what no single field can: raises ValidationError keyed by field."""
        problems: dict[str, str] = {}
        if self.trigger == Trigger.CRON:
            self._collect(problems, "cron", lambda: validate_cron(self.cron))
        if self.trigger == Trigger.ONCE and self.run_at is None:
            problems["run_at"] = gettext("A job that runs once needs a time.")
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            problems["ends_at"] = gettext("The end must be later than the start.")
        if self.trigger == Trigger.INTERVAL and self.jitter_seconds and self.jitter_seconds >= max(self.interval_seconds, 1):
            problems["jitter_seconds"] = gettext("The jitter must be shorter than the interval.")
        if kwargs_problem := self.kwargs_problem(self.kwargs):
            problems["kwargs"] = kwargs_problem
        if problems:
            raise ValidationError(cast("dict[str, Any]", problems))

    @staticmethod
    def _collect(problems: dict[str, str], name: str, check: Any) -> None:
        try:
            check()
        except ValidationError as error:
            problems[name] = " ".join(error.messages)

    def kwargs_problem(self, kwargs: Any) -> str | None:
        """Why the function can't be called with `kwargs`, or None."""
        if not isinstance(kwargs, dict):
            return gettext('Expected an object of names and values such as {"limit": 10}, got %(kind)s.') % {"kind": type(kwargs).__name__}
        try:
            return get_function(self.function).bind(kwargs)
        except UnknownFunction:
            return None  # the field `function` says it already

    @property
    def problem(self) -> str | None:
        """Why this definition can't be scheduled or run as it stands, or None: a row damaged by hand, a function that is gone."""
        try:
            get_function(self.function)
            validate_timezone(self.timezone)
            self.clean()
        except UnknownFunction as error:
            return str(error)
        except ValidationError as error:
            return "; ".join(error.messages)
        return None

    # -- state ------------------------------------------------------------------------------------

    @property
    def is_registered(self) -> bool:
        """Whether the store should have an entry: an archived job and an interval of 0 have none."""
        return self.archived_at is None and not (self.trigger == Trigger.INTERVAL and self.interval_seconds == 0)

    @property
    def anchor(self) -> datetime:
        """Slot 0 of an interval."""
        return self.starts_at or self.created_at

    @property
    def schedule(self) -> Schedule:
        """The schedule as the row states it; slots that passed before its last change are not part of it."""
        since, pause = self.scheduled_from, self.paused_until
        return Schedule(
            job_id=self.pk,
            trigger=self.trigger,
            interval_seconds=self.interval_seconds,
            cron=self.cron,
            run_at=self.run_at,
            timezone=self.timezone,
            anchor=self.anchor,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            jitter_seconds=self.jitter_seconds,
            fires_after=pause - TICK if pause is not None and pause > since else since,
            enabled=self.enabled and self.is_registered,
        )

    def is_paused(self, now: datetime) -> bool:
        return self.paused_until is not None and self.paused_until > now

    # -- changing ---------------------------------------------------------------------------------

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a change of a stored row takes a new revision, whoever makes it."""
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
        """Stamp a row that is about to be made.

        Schedulers go by the database's clock, and so must the stamps: a web server's own may be ahead of it or behind.
        """
        self.updated_at = self._history_date = moment = database_now()
        for name in self._guessed:
            setattr(self, name, moment)

    def follow(self, before: JobDefinition) -> None:
        """Become the next revision of a stored row, which must be locked: two edits are dated in the order in which they come."""
        self.updated_at = self._history_date = database_now()
        JobDefinition.objects.filter(pk=before.pk).record_unrecorded(self.updated_at, 1)
        self.revision = max(self.revision, before.revision) + 1
        if self.has_schedule_of(before):
            self.scheduled_from = before.scheduled_from
        else:
            # Never before the last change: the clock may have been set back between the two.
            self.scheduled_from = max(filter(None, (self.updated_at, before.scheduled_from, self._answered_until())))

    def has_schedule_of(self, other: object) -> bool:
        """Whether another definition, or a record of the history, has the same slots."""
        return all(getattr(self, name) == getattr(other, name) for name in (*SCHEDULE_FIELDS, "created_at"))

    def _answered_until(self) -> datetime | None:
        """The latest slot that has its answer: it belongs to the schedule that it was answered by, even if the clock was set back since."""
        slots = self.runs.filter(cause="schedule").order_by("-scheduled_for").values_list("scheduled_for", flat=True)
        return slots.first()

    def save_by(self, author: Author, reason: str = "") -> None:
        """Save, with the author and the reason in the history."""
        self._history_user = author.user
        self._change_reason = reason[:100] or None
        with transaction.atomic():
            # Without force_insert Django tries an UPDATE first, and would overwrite a job that somebody else has just made.
            self.save(force_insert=self._state.adding)
            self.history.filter(revision=self.revision).update(source=author.source, author=author.name)

    def edit(self, author: Author, expected_revision: int | None = None, reason: str = "", **changes: Any) -> JobDefinition:
        """Change fields and return the new row; nothing is stored when anything is wrong.

        Raises RevisionMismatch when the row is not at `expected_revision`, ValidationError by field.
        """
        with transaction.atomic():
            row = JobDefinition.objects.select_for_update(no_key=True).find(self.pk)
            if expected_revision is not None and row.revision != expected_revision:
                raise RevisionMismatch(self.pk, expected_revision, row.revision)
            row._assign(changes)
            row._note_overrides(changes, author)
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

    def code_defaults(self) -> dict[str, Any]:
        """What the code asks for; empty for a definition that staff made."""
        if self.origin != "code":
            return {}
        try:
            return get_function(self.function).definition_defaults() or {}
        except UnknownFunction:
            return {}

    def _note_overrides(self, changes: Iterable[str], author: Author) -> None:
        if author.source == "code":
            return
        defaults = self.code_defaults()
        changed = {name for name in changes if name in defaults}
        away = {name for name in changed if getattr(self, name) != defaults[name]}
        self.overridden = sorted(set(self.overridden) - changed | away)

    def reset_to_default(self, field: str, author: Author, expected_revision: int | None = None, reason: str = "") -> JobDefinition:
        """Give one field back to the code; raises as `edit`, and ValidationError when the code says nothing of the field."""
        defaults = self.code_defaults()
        if field not in defaults:
            raise ValidationError({field: gettext("The code gives no default for this field.")})
        return self.edit(author, expected_revision, reason or f"reset {field} to default", **{field: defaults[field]})

    def pause(self, author: Author, until: datetime | None = None, reason: str = "") -> JobDefinition:
        """Fire no slot before `until` (None: before somebody resumes it)."""
        return self.edit(author, reason=reason, paused_until=until or FOREVER, pause_reason=reason[:200])

    def resume(self, author: Author, reason: str = "") -> JobDefinition:
        """Fire slots again; those that passed meanwhile stay passed."""
        return self.edit(author, reason=reason, paused_until=None, pause_reason="")

    def archive(self, author: Author, reason: str = "") -> JobDefinition:
        """Take the job off the schedule for good; its history stays."""
        return self.edit(author, reason=reason, archived_at=self.archived_at or database_now())

    def restore(self, author: Author, reason: str = "") -> JobDefinition:
        """Undo `archive`."""
        return self.edit(author, reason=reason, archived_at=None)

    def request_run(self, author: Author, kwargs: dict[str, Any] | None = None, idempotency_key: str | None = None) -> JobRun:
        """Ask for a run now; a scheduler starts it at once, within the overlap policy.

        `kwargs` replace single arguments of the definition.  Raises JobArchived, ValidationError, or
        IdempotencyKeyReused when the key came before with another request.
        """
        if self.archived_at is not None:
            raise JobArchived(self.pk)
        merged = kwargs
        if isinstance(kwargs, dict) and isinstance(self.kwargs, dict):
            merged = self.kwargs | kwargs
        if merged is not None and (problem := self.kwargs_problem(merged)):
            raise ValidationError({"kwargs": problem})
        return JobRun.objects.request(self.pk, author.name, merged, idempotency_key)

    def follow_code(self, defaults: dict[str, Any]) -> None:
        """Take over what the code says by now, except where staff said otherwise."""
        if self.origin != "code":
            return
        stale = {name: value for name, value in defaults.items() if name not in self.overridden and getattr(self, name) != value}
        if stale:
            self.edit(CODE, reason="the code's defaults changed", **stale)
