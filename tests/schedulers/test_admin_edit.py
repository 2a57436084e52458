"""Staff change an interval in admin, and the scheduler in another process obeys at once."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import httpx2

from jobs.models import JobDefinition, JobRun
from tests.support.processes import Site, free_port
from tests.support.sample.schedulers import seconds_between
from tests.support.waiting import wait_until

PAGE = "/admin/jobs/jobdefinition/mod_cache_refresh/change/"
LOADED_MACHINE = 0.25
"""Seconds that a slot may move by when other tests keep both cores busy."""


class Fields(HTMLParser):
    """The values that a browser sends when a person saves the form of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._select = self._textarea = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, kind = given.get("name") or "", given.get("type")
        if tag == "input" and name and kind not in {"submit", "button", "file"} and (kind not in {"checkbox", "radio"} or "checked" in given):
            self.values[name] = given.get("value") or ("on" if kind == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in given and self._select:
            self.values[self._select] = given.get("value") or ""
        elif tag == "textarea":
            self._textarea = name
            self.values[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._textarea = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.values[self._textarea] += data


def save(client: httpx2.Client, **changes: str) -> JobDefinition:
    """Change fields of the job on its admin page, as a person does; the row as it was stored."""
    page = client.get(PAGE)
    page.raise_for_status()
    values = Fields(page.text).values
    assert changes.keys() <= values.keys(), sorted(values)
    answer = client.post(PAGE, data=values | changes | {"_save": "Save"})
    assert answer.status_code == 302, answer.text[:3000]
    return JobDefinition.objects.get(pk="mod_cache_refresh")


def runs() -> list[JobRun]:
    """Runs of slots, without the run at the scheduler's start."""
    return list(JobRun.objects.filter(job="mod_cache_refresh", cause="schedule").order_by("scheduled_for"))


def job_count(client: httpx2.Client) -> int:
    answer: dict[str, Any] = client.get("/healthz").json()
    return int(answer["data"]["scheduler"]["job_count"])


def test_an_interval_that_staff_change_in_admin_holds_at_once_and_zero_ends_it(site: Site) -> None:
    port = free_port()
    site.env |= {
        "VS_MOD_LIST_REFRESH_INTERVAL": "3600",
        "VS_MODDB_URL": f"http://127.0.0.1:{port}",
        "VS_VERSIONS_URL": f"http://127.0.0.1:{port}",
    }
    site.start(sys.executable, "-m", "vsadmin.game.standin", "--port", str(port), "--folder", str(site.folder / "sample"), name="standin")
    site.start_scheduler()
    site.start_web()
    client = site.http()
    assert JobDefinition.objects.get(pk="mod_cache_refresh").interval_seconds == 3600
    before = job_count(client)

    saved = save(client, interval_seconds="1")
    assert saved.interval_seconds == 1
    arrived = wait_until(lambda: found if len(found := runs()) >= 5 else None, 20, "the runs never came")
    first = arrived[0]
    assert first.started_at
    delay = seconds_between(saved.updated_at, first.started_at)
    print(f"first run {delay:.3f} s after the save")  # noqa: T201 -- pytest shows it on failure
    assert 0 < delay <= 0.25 + 1 + LOADED_MACHINE
    assert [seconds_between(one.scheduled_for, other.scheduled_for) for one, other in pairwise(arrived)] == [1.0] * (len(arrived) - 1)
    assert max(run.lateness or 0 for run in arrived) < 0.25 + LOADED_MACHINE
    succeeded = wait_until(lambda: [run for run in runs() if run.status == "succeeded"], 10, "no run succeeded")
    assert succeeded[0].result
    saved.refresh_from_db()
    assert saved.applied_at
    assert seconds_between(saved.updated_at, saved.applied_at) < 0.25 + LOADED_MACHINE

    save(client, interval_seconds="0")
    wait_until(lambda: job_count(client) == before - 1, 5, "the job is still counted")
    wait_until(lambda: not JobRun.objects.filter(job="mod_cache_refresh").active().exists(), 20, "a run never ended")
    count = len(runs())
    JobDefinition.objects.create(id="witness", function="game_server_watch", interval_seconds=1)
    wait_until(lambda: JobRun.objects.filter(job="witness").count() >= 3, 20, "the witness never fired")
    assert len(runs()) == count
