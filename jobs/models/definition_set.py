"""Sets of definitions: finding, making and changing several."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Greatest

from jobs.clock import database_now
from jobs.exceptions import JobExists, JobNotFound
from jobs.models.author import CODE, Author
from jobs.models.history import RecordedQuerySet
from jobs.models.readable import attempt, read_rows
from jobs.models.revisions import Expected, require_revision
from jobs.models.run import ACTIVE, Cause, JobRun
from jobs.models.schedule_columns import SCHEDULE_FIELDS
from jobs.models.scheduled import OVERDUE_AFTER
from jobs.registry import all_functions

if TYPE_CHECKING:
    from jobs.models.definition import JobDefinition

APPLIED_FIELDS = frozenset({"applied_revision", "applied_at", "applied_by", "pruned_until"})
"""Columns that schedulers write; changing them is not an edit."""


class JobDefinitionQuerySet(RecordedQuerySet["JobDefinition"]):
    def current(self) -> JobDefinitionQuerySet:
        """Definitions that are not archived."""
        return self.filter(archived_at__isnull=True)

    def unapplied(self) -> JobDefinitionQuerySet:
        """Definitions that a scheduler has yet to apply."""
        return self.exclude(applied_revision=F("revision"))

    def overdue(self, now: datetime) -> JobDefinitionQuerySet:
        """Definitions for which `is_overdue` is true."""
        return self.filter(scheduled__next_run_time__lt=now - OVERDUE_AFTER)

    def find(self, job_id: str) -> JobDefinition:
        """The definition, archived or not; raises JobNotFound."""
        try:
            return self.get(pk=job_id)
        except (self.model.DoesNotExist, ValueError):
            raise JobNotFound(job_id) from None

    def find_locked(self, job_id: str, expected_revision: Expected) -> JobDefinition:
        """As `find`, at an expected revision and unchanged until the end of the transaction; raises RevisionMismatch too."""
        definition = self.select_for_update(no_key=True).find(job_id)
        require_revision(definition, expected_revision)
        return definition

    def draft(self, **fields: Any) -> JobDefinition:
        """A definition that is not stored, with its schedule checked; raises ValidationError (by field)."""
        definition = self.model(**{"id": "draft"} | fields)
        definition.full_clean(exclude=["id", "function"], validate_unique=False, validate_constraints=False)
        return definition

    def add(self, author: Author, reason: str = "", **fields: Any) -> JobDefinition:
        """Make and return a new definition; raises ValidationError (by field) or JobExists."""
        self._refuse_existing(fields.get("id"))
        definition = self.model(**fields)
        definition.origin = "code" if author.source == "code" else "staff"
        definition.full_clean(validate_unique=False)
        try:
            with transaction.atomic():
                definition.save_by(author, reason)
        except IntegrityError:
            self._refuse_existing(definition.pk)  # another process has just made it
            raise
        return definition

    def _refuse_existing(self, job_id: str | None) -> None:
        if existing := self.filter(pk=job_id).first():
            raise JobExists(existing.pk, archived=existing.archived_at is not None)

    def register_defaults(self) -> list[JobDefinition]:
        """Make the definitions that registered functions ask for and return the new ones; existing ones follow the code's changed defaults."""
        made = []
        for function in all_functions():
            if (defaults := function.definition_defaults()) is None:
                continue
            row, problem = attempt(self.filter(pk=function.name).first)
            if problem:
                continue  # it exists; whoever applies it sets it aside
            if row is not None:
                row.follow_code(defaults)
            elif defaults["trigger"] != "interval" or defaults["interval_seconds"] != 0:
                made += self._add_default(function.name, defaults)
        return made

    def _add_default(self, job_id: str, defaults: dict[str, Any]) -> list[JobDefinition]:
        try:
            return [self.add(CODE, "registered by the code", id=job_id, **{"timezone": settings.TIME_ZONE} | defaults)]
        except JobExists:
            return []  # another scheduler, starting at the same time, was first

    def update(self, **changes: Any) -> int:
        """Update in bulk; an edit takes a new revision and leaves its history, as a single one does."""
        if changes.keys() <= APPLIED_FIELDS:
            return super().update(**changes)
        with transaction.atomic():
            keys = list(self.values_list("pk", flat=True))
            touched = self.model._base_manager.filter(pk__in=keys)
            now = database_now()
            self.model.objects.filter(pk__in=keys).record_unrecorded(now, len(keys))
            stamps = {"revision": F("revision") + 1, "updated_at": now}
            if changes.keys() & SCHEDULE_FIELDS:
                stamps["scheduled_from"] = self._schedule_ends(now)
            count = models.QuerySet.update(touched, **stamps | changes)
            self.model.history.bulk_history_create(touched, update=True, default_date=now)
        return count

    def _schedule_ends(self, now: datetime) -> Greatest:
        """When the current schedules end, if they are changed `now`; the same rule as `JobDefinition.follow`."""
        runs = self.model._meta.get_field("runs").related_model._base_manager
        answered = runs.filter(job=OuterRef("pk"), cause="schedule").order_by("-scheduled_for").values("scheduled_for")[:1]
        edited = Value(now, output_field=models.DateTimeField())
        return Greatest(F("scheduled_from"), edited, Coalesce(Subquery(answered), edited))

    def request_at_start(self) -> list[JobRun]:
        """Queue a run of each scheduled job whose function asks for one when a scheduler starts."""
        wanting = {entry.name for entry in all_functions() if entry.run_at_start is not None and entry.run_at_start()}
        jobs = self.current().filter(function__in=wanting, enabled=True).exclude(runs__status__in=ACTIVE)
        return [JobRun.objects.request(job.pk, "scheduler", cause=Cause.START) for job in read_rows(jobs).readable if job.is_registered]
