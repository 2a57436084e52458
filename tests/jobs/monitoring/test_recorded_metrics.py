from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from jobs.models import JobRun
from jobs.monitoring.exposition import negotiate
from jobs.monitoring.metrics import JobsCollector
from tests.support.processes import REPOSITORY
from tests.support.rows import make_job, make_run, schedule

RECORDED = Path(__file__).with_name("metrics.txt")
PAGE = REPOSITORY / "docs" / "monitoring.md"

pytestmark = pytest.mark.django_db(transaction=True)


def fixed_rows() -> None:
    """Rows whose metrics do not depend on the time of the test."""
    slot = datetime(2026, 11, 1, 12, tzinfo=UTC)
    backup = make_job("backup", title='A "quoted"\nback\\slash')
    paused = make_job("paused", paused_until=datetime(9998, 1, 1, tzinfo=UTC), trigger="cron", cron="@daily")
    make_job("switched-off", enabled=False)
    schedule(backup, datetime(2099, 1, 1, tzinfo=UTC))
    schedule(paused, datetime(2020, 1, 1, tzinfo=UTC))
    for number, (delay, duration) in enumerate([(0.02, 0.05), (0.3, 2.0), (90.0, 4000.0)]):
        at = slot + timedelta(minutes=number)
        make_run(backup, at, started_at=at + timedelta(seconds=delay), finished_at=at + timedelta(hours=2), duration_seconds=duration)
    make_run(paused, slot, status="failed", started_at=slot + timedelta(milliseconds=125), finished_at=slot + timedelta(seconds=1), duration_seconds=0.875)
    make_run(paused, slot + timedelta(days=1), status="missed", started_at=None, duration_seconds=None)
    JobRun.objects.request(backup.pk, "tester")


def flat(families: Iterable[Metric]) -> dict[Any, tuple[str, float]]:
    """Type and value of each sample, by name and labels, without those that differ between machines."""
    samples = {(sample.name, *sorted(sample.labels.items())): (family.type, sample.value) for family in families for sample in family.samples}
    return {key: value for key, value in samples.items() if key[0] != "vsadmin_build_info"}


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"], ids=["text", "OpenMetrics"])
def test_names_labels_types_and_values_are_those_of_the_recorded_text(accept: str) -> None:
    """`metrics.txt` is a recorded scrape: dashboards and alerts depend on each line of it."""
    fixed_rows()
    parse = parse_openmetrics if accept else text_string_to_metric_families
    made = flat(parse(negotiate(accept).body().decode()))
    recorded = flat(text_string_to_metric_families(RECORDED.read_text()))
    assert made.keys() == recorded.keys()
    for key, (kind, number) in recorded.items():
        assert made[key][0] == kind, key
        assert made[key][1] == pytest.approx(number), key


def test_no_label_collides_with_those_that_prometheus_adds() -> None:
    """Prometheus renames an exposed label `job` to `exported_job`, and its own takes the place in every rule and dashboard."""
    fixed_rows()
    labels = {label for family in JobsCollector().collect() for sample in family.samples for label in sample.labels}
    assert labels & {"job", "instance"} == set()
    assert "job_id" in labels


def test_build_info_names_the_environment(settings: LazySettings) -> None:
    settings.JOBS_ENVIRONMENT = "staging"
    [build] = [family for family in JobsCollector().collect() if family.name == "vsadmin_build_info"]
    [sample] = build.samples
    assert sample.labels["vsadmin_environment"] == "staging"


def test_the_page_lists_every_metric_with_its_labels_and_type() -> None:
    fixed_rows()
    collected = {}
    for family in JobsCollector().collect():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        collected[family.name + ("_total" if family.type == "counter" else "")] = (labels, family.type)
    rows = re.findall(r"^\| `(vsadmin_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert collected == {name: (set(filter(None, labels.split(","))), kind) for name, labels, kind in rows}
