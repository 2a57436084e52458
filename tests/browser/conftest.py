"""A person at a browser: logged in, and with an eye on what the page does behind their back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser import demo
from tests.processes import PASSWORD, Site


class Watch:
    """What no page may do: ask another host, or complain in the console (a breach of the CSP is one complaint)."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self.host = urlsplit(base_url).netloc
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def violations(self) -> list[str]:
        """What axe finds on the page; axe's own breaches of the CSP are not the page's."""
        before = list(self.complaints)
        found = Axe().run(self.page).response["violations"]
        self.complaints[:] = before
        return [f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:300]}" for rule in found for node in rule["nodes"]]

    def _request(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.netloc != self.host:
            self.elsewhere.append(request.url)

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@pytest.fixture
def house(site: Site) -> Site:
    """A running site, with jobs in it that have a past."""
    demo.register_functions()
    demo.fill()
    site.superuser("mira")
    site.env["DJANGO_SETTINGS_MODULE"] = "tests.browser.settings"
    site.start_web()
    site.start_scheduler()
    return site


def log_in(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/admin/")
    page.get_by_label("Username").fill("mira")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview").wait_for()


@pytest.fixture
def watch(page: Page, house: Site) -> Iterator[Watch]:
    watching = Watch(page, house.base_url)
    yield watching
    assert watching.elsewhere == []
    assert watching.complaints == []


@pytest.fixture
def person(page: Page, house: Site, watch: Watch) -> Page:
    """A page of somebody who has logged in, on a site that does nothing behind their back."""
    page.set_default_timeout(15_000)
    log_in(page, house.base_url)
    return page
