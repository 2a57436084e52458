"""The history of definitions, and its records for rows that were written past `save()`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models import Exists, OuterRef

from jobs.models.readable import ReadableModel, ReadableQuerySet, read_rows

Row = TypeVar("Row", bound=ReadableModel)


class ChangeRecord(ReadableModel):
    """Columns of a history record beside the time and the user of django-simple-history."""

    source = models.CharField(max_length=10, default="shell")
    author = models.CharField(max_length=150, default="")

    class Meta:
        abstract = True


class RecordedQuerySet(ReadableQuerySet[Row]):
    """Rows with a revision, whose history must hold a record of each revision: an audit reads from it which schedule was in force."""

    def record_unrecorded(self, now: datetime, limit: int) -> int:
        """Write the missing history record of at most `limit` rows, and return how many were written.  Call in a transaction.

        Fixtures, bulk inserts and SQL at a database prompt bypass `save()`.
        """
        model: Any = self.model
        history = model.history
        unrecorded = self.exclude(Exists(history.filter(id=OuterRef("pk"), revision=OuterRef("revision"))))
        rows: list[Any] = read_rows(unrecorded.select_for_update(no_key=True, skip_locked=True)[:limit]).readable
        records = history.filter(id__in=[row.pk for row in rows]).order_by("revision", "history_id")
        known: dict[str, Any] = {record.id: record for record in read_rows(records).readable}
        for row in rows:
            last = known.get(row.pk)
            if last is not None and row.scheduled_from <= last.scheduled_from and not row.has_schedule_of(last):
                # The writer did not say since when, so the slots until now belong to the recorded schedule.
                models.QuerySet.update(model._base_manager.filter(pk=row.pk), scheduled_from=max(now, last.scheduled_from))
        self._copy_to_history([row.pk for row in rows if row.pk not in known], now, "+")
        self._copy_to_history([row.pk for row in rows if row.pk in known], now, "~")
        return len(rows)

    def _copy_to_history(self, job_ids: list[str], now: datetime, history_type: str) -> None:
        """Copy rows in SQL, because a row that was damaged by hand may hold values that no field of ours would write."""
        if not job_ids:
            return
        model: Any = self.model
        record = model.history.model._meta
        columns = [connection.ops.quote_name(field.column) for field in model.history.model.tracked_fields]
        stamps = {
            "history_date": record.get_field("history_date").get_db_prep_save(now, connection),
            "history_type": history_type,
            "history_change_reason": "by a fixture, a bulk insert or a database prompt",
            "source": "fixture",
            "author": "",
        }
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {record.db_table} ({', '.join([*columns, *stamps])}) "  # noqa: S608 -- names of our own tables and columns
                f"SELECT {', '.join([*columns, *['%s'] * len(stamps)])} FROM {model._meta.db_table} WHERE id IN ({', '.join(['%s'] * len(job_ids))})",
                [*stamps.values(), *job_ids],
            )
