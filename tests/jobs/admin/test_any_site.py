"""The pages of the jobs in a project that has none of this site's templates."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings

PAGES = (
    "jobdefinition/",
    "jobdefinition/add/",
    "jobdefinition/greeting/change/",
    "jobdefinition/greeting/history/",
    "jobdefinition/greeting/pause/",
    "jobrun/",
    "jobrun/{run}/change/",
)
STOCK = [settings.TEMPLATES[0] | {"DIRS": []}]


@pytest.mark.parametrize("templates", [settings.TEMPLATES, STOCK], ids=["this site", "stock admin"])
@pytest.mark.parametrize("path", PAGES)
def test_each_page_loads_its_stylesheet_and_script_once(admin: Client, make_job: Any, make_run: Any, templates: Any, path: str) -> None:
    run = make_run(make_job())
    with override_settings(TEMPLATES=templates):
        page = admin.get("/admin/jobs/" + path.format(run=run.pk)).content.decode()
    assert page.count("/static/jobs/jobs.css") == 1
    assert page.count("/static/jobs/live.js") == 1
    assert page.count('name="vs-distance"') == 1


def test_a_viewer_gets_the_same_head_in_any_project(viewer: Client, make_job: Any) -> None:
    make_job()
    with override_settings(TEMPLATES=STOCK):
        page = viewer.get("/admin/jobs/jobdefinition/greeting/change/").content.decode()
    assert page.count("/static/jobs/jobs.css") == 1
    assert "vsadmin" not in page.partition("<body")[0]
