"""The runs list: keyset pages and date links over millions of runs, without a count or a sort."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import get_current_timezone, localtime

from jobs.admin.numbers import whole_number
from jobs.models import JobRun
from jobs.models.run import NEWEST_FIRST
from jobs.models.run_pages import older_than_id, older_than_slot, take_page

BEFORE, ON, JOB = "before", "on", "job"


class RunChangeList(ChangeList):
    """Keyset pages: a page number would need a count, and an offset reads all skipped rows."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        params_of_filters: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in params_of_filters.items() if name not in {BEFORE, ON, JOB}}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        return list(NEWEST_FIRST) if self.job else ["-id"]

    @property
    def job(self) -> str:
        return str(self.params.get(JOB, ""))

    @property
    def on(self) -> str:
        return str(self.params.get(ON, ""))

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        queryset = super().get_queryset(request, exclude_parameters)
        if self.job:
            queryset = queryset.filter(job=self.job)
        if self.on:
            start, end = span(self.on)
            queryset = queryset.filter(scheduled_for__gte=start, scheduled_for__lt=end) if self.job else queryset.filter(recorded_between(start, end))
        return queryset

    def get_results(self, request: HttpRequest) -> None:
        page = take_page(self.queryset.filter(self._after_key()), self.list_per_page)
        self.has_older, self.result_list = page.has_older, page.runs
        self.is_first_page = BEFORE not in self.params
        self.older_url = self.get_query_string({BEFORE: self.result_list[-1].pk}) if self.has_older else ""
        self.newest_url = self.get_query_string(remove=[BEFORE])
        self.result_count, self.full_result_count = len(self.result_list), None
        self.show_full_result_count, self.show_admin_actions = False, False
        self.can_show_all, self.multi_page, self.paginator = False, False, Paginator(self.result_list, self.list_per_page)
        self.drill = drill_down(self.on)

    def _after_key(self) -> Q:
        key = str(self.params.get(BEFORE, ""))
        if not key:
            return Q()
        if (number := whole_number(key)) is None:
            raise IncorrectLookupParameters
        if not self.job:
            return older_than_id(number)
        last = JobRun.objects.filter(pk=number).only("scheduled_for", "attempt").first()
        if last is None:
            raise IncorrectLookupParameters
        return older_than_slot(last.scheduled_for, last.attempt)


def span(text: str) -> tuple[datetime, datetime]:
    """Start and end of the year, month or day `2026`, `2026-11` or `2026-11-21` in the site's time zone."""
    parts = [number for part in text.split("-") if (number := whole_number(part)) is not None][:3]
    try:
        year, month, day = [*parts, 1, 1, 1][:3]
        start = datetime(year, month, day, tzinfo=get_current_timezone())
        if len(parts) == 1:
            return start, start.replace(year=year + 1)
        if len(parts) == 2:
            return start, start.replace(year=year + month // 12, month=month % 12 + 1)
        following = datetime.fromordinal(start.toordinal() + 1)
        return start, start.replace(year=following.year, month=following.month, day=following.day)
    except (ValueError, OverflowError, TypeError):
        raise IncorrectLookupParameters from None


def recorded_between(start: datetime, end: datetime) -> Q:
    """Runs queued from `start` up to `end`, as a range of ids: ids rise with time and have an index."""
    return Q(id__gte=first_id_since(start), id__lt=first_id_since(end))


def first_id_since(at: datetime) -> int:
    """The lowest id of a run queued at `at` or later.  A binary search: 20 index probes in a million rows."""
    ends = [JobRun.objects.order_by(order).values_list("pk", flat=True).first() for order in ("pk", "-pk")]
    low, high = ends[0] or 0, (ends[1] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        run = JobRun.objects.filter(pk__gte=middle).order_by("pk").values_list("pk", "queued_at").first()
        if run is None or run[1] >= at:
            high = middle
        else:
            low = run[0] + 1
    return low


@dataclass(frozen=True, slots=True)
class Drill:
    """The date links: up to the wider span, and down to the narrower ones."""

    up: str | None
    title: str
    down: list[tuple[str, str]]


def drill_down(on: str) -> Drill | None:
    """The years, months or days inside the span `on` that the history covers.  Reads only its first and last run."""
    ends = [JobRun.objects.order_by(order).values_list("queued_at", flat=True).first() for order in ("pk", "-pk")]
    if ends[0] is None or ends[1] is None:
        return None
    first, last = localtime(ends[0]).date(), localtime(ends[1]).date()
    depth = on.count("-") + 1 if on else 0
    if depth == 0:
        depth = 2 if (first.year, first.month) == (last.year, last.month) else 1 if first.year == last.year else 0
        on = f"{last:%Y-%m}" if depth == 2 else f"{last:%Y}" if depth == 1 else ""
        return Drill(None, "", _steps(first, last, on))
    up = on.rpartition("-")[0]
    return Drill(up, _label(on), _steps(first, last, on) if depth < 3 else [])


def _steps(first: Any, last: Any, on: str) -> list[tuple[str, str]]:
    width = {0: 4, 4: 7, 7: 10}[len(on)] if len(on) in {0, 4, 7} else 10
    days = (datetime.fromordinal(n).date() for n in range(first.toordinal(), last.toordinal() + 1)) if (last - first).days < 3660 else iter([first, last])
    names = dict.fromkeys(f"{day:%Y-%m-%d}"[:width] for day in days)
    return [(name, _label(name)) for name in names if name.startswith(on)][-31:]


def _label(on: str) -> str:
    start, _end = span(on)
    return date_format(start, {1: "Y", 2: "YEAR_MONTH_FORMAT", 3: "MONTH_DAY_FORMAT"}[on.count("-") + 1])
