"""The rows of the jobs list, with the data of their cells fetched for the whole page at once."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from jobs.admin.access import may
from jobs.admin.job.latest import Latest, latest_of


class JobChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        latest, editable = latest_of([row.pk for row in rows]), may(request, "change_jobdefinition")
        for row in rows:
            row.latest, row.editable = latest.get(row.pk, Latest()), editable
        self.result_list = rows
