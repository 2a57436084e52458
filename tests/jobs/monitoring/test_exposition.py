from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.test import Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from jobs.monitoring.exposition import OPENMETRICS, TEXT, negotiate
from tests.support.api import ADMIN_KEY, MONITOR_KEY, problem
from tests.support.rows import make_job, make_run

pytestmark = pytest.mark.django_db

PROMETHEUS_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2"


def scrape(**headers: str) -> Any:
    answer = Client().get("/metrics", headers={"X-API-Key": MONITOR_KEY, **headers})
    assert answer.status_code == 200, answer.content
    return answer


def test_metrics_need_a_key() -> None:
    client = Client()
    for headers in ({}, {"X-API-Key": "wrong"}):
        problem(client.get("/metrics", headers=headers), 401, "UNAUTHORIZED")
    assert client.get("/metrics", headers={"Authorization": f"Bearer {ADMIN_KEY}"}).status_code == 200
    assert client.post("/metrics").status_code in {403, 405}


def test_the_body_is_kept_for_five_seconds(django_assert_num_queries: Any) -> None:
    make_run(make_job())
    scrape()
    with django_assert_num_queries(0):
        scrape()


def test_a_scraper_that_asks_for_openmetrics_gets_it() -> None:
    answer = scrape(Accept=PROMETHEUS_3)
    assert answer["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    text = answer.content.decode()
    assert text.endswith("# EOF\n")
    assert "_created" not in text
    families = parse_openmetrics(text)  # type: ignore[no-untyped-call]  # the library annotates it only in part
    assert {family.name for family in families} >= {"vsadmin_job_runs", "vsadmin_scheduler_up"}


def test_other_clients_get_prometheus_text() -> None:
    assert scrape()["Content-Type"] == scrape(Accept="text/html, */*")["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", TEXT),
        ("text/plain; version=1.0.0", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=2.0.0", OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1", TEXT),
        ("application/openmetrics-text; version=newest", TEXT),
        ("application/openmetrics-text; version=1.0.0; escaping=dots", OPENMETRICS),
    ],
)
def test_an_accept_header_chooses_one_of_two_formats(accept: str, chosen: object) -> None:
    assert negotiate(accept) is chosen


def test_the_body_is_gzipped_for_clients_that_accept_it() -> None:
    plain, packed = scrape(), scrape(**{"Accept-Encoding": "deflate, gzip;q=1.0"})
    assert packed["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain
    assert gzip.decompress(packed.content) == plain.content
    assert {"Accept", "Accept-Encoding"} <= set(plain["Vary"].split(", "))
