"""What holds on every page: readable for everybody, on every screen, in light and in dark."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from jobs.models import Author, JobDefinition, JobRun
from tests.browser.conftest import Watch, log_in
from tests.processes import Site

pytestmark = pytest.mark.browser
PAGES = {
    "overview": "/admin/",
    "jobs": "/admin/jobs/jobdefinition/",
    "job": "/admin/jobs/jobdefinition/world-backup/change/",
    "add": "/admin/jobs/jobdefinition/add/",
    "run now": "/admin/jobs/jobdefinition/world-backup/run/",
    "pause": "/admin/jobs/jobdefinition/world-backup/pause/",
    "history": "/admin/jobs/jobdefinition/world-backup/history/",
    "runs": "/admin/jobs/jobrun/",
    "failed run": "/admin/jobs/jobrun/{failed}/change/",
    "good run": "/admin/jobs/jobrun/{good}/change/",
    "users": "/admin/auth/user/",
    "password": "/admin/password_change/",
    "keys": "/admin/vsadmin/apikey/",
}


def addresses(base_url: str) -> dict[str, str]:
    numbers = {"failed": JobRun.objects.filter(status="failed").latest("pk").pk, "good": JobRun.objects.filter(status="succeeded").latest("pk").pk}
    return {name: base_url + path.format(**numbers) for name, path in PAGES.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_is_accessible_and_fits(browser: Browser, house: Site, scheme: Literal["light", "dark"], width: int) -> None:
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}).new_page()
    watch = Watch(page, house.base_url)
    log_in(page, house.base_url)
    trouble: list[str] = []
    for name, address in addresses(house.base_url).items():
        answer = page.goto(address)
        page.wait_for_load_state("networkidle")
        if answer is None or answer.status != 200:
            trouble.append(f"{name}: {answer and answer.status}")
        trouble += [f"{name}: {violation}" for violation in watch.violations()]
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            trouble.append(f"{name}: {wide} px wide on a screen of {width}")
    assert not trouble, "\n".join(trouble)
    assert (watch.elsewhere, watch.complaints) == ([], [])


def test_a_conflict_and_a_mistake_are_accessible_too(person: Page, house: Site, watch: Watch) -> None:
    person.goto(f"{house.base_url}/admin/jobs/jobdefinition/mod-cache/change/")
    JobDefinition.objects.find("mod-cache").edit(Author("otto", "api"), interval_seconds=60)
    person.get_by_label("Every").fill("1.5")
    person.get_by_role("button", name="Save").click()
    person.get_by_role("heading", name="Changed meanwhile").wait_for()
    assert watch.violations() == []


FOCUS = "(() => { const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' || style.boxShadow !== 'none' })()"


def test_the_focus_can_be_seen(person: Page, house: Site) -> None:
    person.goto(f"{house.base_url}/admin/jobs/jobdefinition/")
    for _ in range(30):
        person.keyboard.press("Tab")
        assert person.evaluate(FOCUS), person.evaluate("document.activeElement.outerHTML")
