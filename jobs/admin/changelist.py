"""The jobs list's page of rows, with what its cells need fetched for all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from jobs.admin.access import may
from jobs.admin.recent import recent_runs, with_latest
from jobs.models import JobDefinition

if TYPE_CHECKING:
    from django.db.models import QuerySet


class JobChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        page: QuerySet[JobDefinition] = self.result_list
        rows = list(page)
        latest = {row.pk: row for row in with_latest(JobDefinition.objects.filter(pk__in=[row.pk for row in rows]))}
        runs = recent_runs(latest.values())
        editable = may(request, "change_jobdefinition")
        for row in rows:
            _attach(row, latest.get(row.pk, row), recent=runs.get(row.pk, []), editable=editable)
        self.result_list = rows


def _attach(row: Any, latest: Any, **values: Any) -> None:
    values |= {name: getattr(latest, name, "") for name in ("changed_by", "changed_from")}
    for name, value in values.items():
        setattr(row, name, value)
