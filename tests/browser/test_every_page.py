"""Rules for every page: accessible and without horizontal scrolling, on desktop and phone, in light and dark."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from jobs.models import Author, JobDefinition, JobRun
from tests.browser.conftest import PageWatch
from tests.support.processes import Site

pytestmark = pytest.mark.browser
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
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
    "mods": "/admin/game/installedmod/",
    "versions": "/admin/game/gameversion/",
    "server": "/admin/game/serverstatus/",
    "users": "/admin/auth/user/",
    "password": "/admin/password_change/",
    "keys": "/admin/vsadmin/apikey/",
}


def addresses(base_url: str) -> dict[str, str]:
    numbers = {"failed": JobRun.objects.filter(status="failed").latest("pk").pk, "good": JobRun.objects.filter(status="succeeded").latest("pk").pk}
    return {name: base_url + path.format(**numbers) for name, path in PAGES.items()}


@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_is_accessible_and_fits_in_light_and_dark(page: Page, demo_site: Site, watch: PageWatch, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    problems: list[str] = []
    for name, address in addresses(demo_site.base_url).items():
        answer = page.goto(address)
        if answer is None or answer.status != 200:
            problems.append(f"{name}: {answer and answer.status}")
        if page.locator(".vs-preview").count():
            page.locator(".vs-preview-words").wait_for()
        problems += [f"{name}, {scheme}: {violation}" for scheme in SCHEMES for violation in _violations_in(page, watch, scheme)]
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            problems.append(f"{name}: {wide} px wide on a screen of {width}")
    assert not problems, "\n".join(problems)


def _violations_in(page: Page, watch: PageWatch, scheme: Scheme) -> list[str]:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    return watch.violations()


COVERING_BADGES = """() => [...document.querySelectorAll(".vs-badge")].filter(badge => {
  const [a, b] = [badge, badge.nextElementSibling ?? document.head].map(element => element.getBoundingClientRect());
  return a.width && b.width && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
}).map(badge => badge.textContent)"""


@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_fits_in_german_whose_words_are_longer(browser: Browser, browser_context_args: dict[str, Any], logged_in: Any, demo_site: Site, width: int) -> None:
    context = browser.new_context(**browser_context_args | {"locale": "de-AT", "storage_state": logged_in, "viewport": {"width": width, "height": 800}})
    page, problems = context.new_page(), []
    for name, address in addresses(demo_site.base_url).items():
        page.goto(address)
        assert page.evaluate("document.documentElement.lang") == "de"
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            problems.append(f"{name}: {wide} px wide on a screen of {width}")
        problems += [f"{name}: the badge {text} covers what follows it" for text in page.evaluate(COVERING_BADGES)]
    context.close()
    assert not problems, "\n".join(problems)


def test_a_conflict_and_a_mistake_are_accessible_too(admin_page: Page, demo_site: Site, watch: PageWatch) -> None:
    admin_page.goto(f"{demo_site.base_url}/admin/jobs/jobdefinition/mod-cache/change/")
    JobDefinition.objects.find("mod-cache").edit(Author("otto", "api"), interval_seconds=60)
    admin_page.get_by_label("Every").fill("1.5")
    admin_page.get_by_role("button", name="Save").click()
    admin_page.get_by_role("heading", name="Changed while you were editing").wait_for()
    assert watch.violations() == []


FOCUS = "(() => { const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' || style.boxShadow !== 'none' })()"


def test_the_focus_can_be_seen(admin_page: Page, demo_site: Site) -> None:
    admin_page.goto(f"{demo_site.base_url}/admin/jobs/jobdefinition/")
    for _ in range(30):
        admin_page.keyboard.press("Tab")
        assert admin_page.evaluate(FOCUS), admin_page.evaluate("document.activeElement.outerHTML")
