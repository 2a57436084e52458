"""docs/alerts.yml and docs/grafana.json name only metrics, labels and statuses that /metrics has, and the page describes each alert."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from jobs.models import Status
from jobs.monitoring.metrics import JobsCollector
from tests.support.processes import REPOSITORY
from tests.support.promtool import ALERTS
from tests.support.rows import make_job, make_run, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.once]

RULES: list[dict[str, Any]] = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
DASHBOARD = json.loads((REPOSITORY / "docs" / "grafana.json").read_text())
SELECTOR = re.compile(r"\b(vsadmin_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
ADDED_BY_PROMETHEUS = {"job", "instance"}
NO_METRICS = {"vsadmin_environment"}


def dashboard_queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (variable["query"] for variable in DASHBOARD["templating"]["list"])


def exposed() -> dict[str, set[str]]:
    """The labels of each series, by name."""
    job = make_job()
    schedule(job, job.created_at)
    for status in (Status.SUCCEEDED, Status.FAILED):
        make_run(job, status=status)
    series: dict[str, set[str]] = {}
    for family in JobsCollector().collect():
        for sample in family.samples:
            series.setdefault(sample.name, set()).update(sample.labels)
    return series


@pytest.mark.parametrize("queries", [[rule["expr"] for rule in RULES], list(dashboard_queries())], ids=["alerts", "dashboard"])
def test_every_metric_and_label_in_a_query_is_exposed(queries: list[str]) -> None:
    series, used = exposed(), 0
    for query in queries:
        for name, matchers in SELECTOR.findall(query):
            if name in NO_METRICS:
                continue
            assert name in series, query
            for label, value in MATCHER.findall(matchers):
                assert label in series[name] | ADDED_BY_PROMETHEUS, query
                if label == "status":
                    assert set(value.split("|")) <= set(Status.values), query
            used += 1
    assert used > 10


def test_every_recorded_name_that_a_rule_reads_is_recorded_before_it() -> None:
    known: set[str] = set()
    for rule in RULES:
        name = rule.get("record", "")
        assert set(re.findall(r"\bvsadmin:[\w:]+", rule["expr"])) <= known | {name}
        known.add(name)


def test_the_page_describes_every_alert() -> None:
    page = (REPOSITORY / "docs" / "monitoring.md").read_text()
    assert {rule["alert"] for rule in RULES if "alert" in rule} == set(re.findall(r"^\| `(Vsadmin\w+)` \|", page, re.MULTILINE))


def test_every_alert_names_what_it_is_about() -> None:
    for rule in RULES:
        if "alert" in rule:
            assert re.search(r"\$labels\.(installation|instance)", rule["annotations"]["summary"]), rule["alert"]
            assert rule["labels"]["severity"] in {"critical", "warning"}
