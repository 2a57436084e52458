"""A person at a browser: logged in, and with an eye on what the page does behind their back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.management import call_command
from django.db import connections
from django.utils.timezone import now
from playwright.sync_api import Browser, Page, Playwright

from jobs.models import SchedulerInstance
from tests.browser import demo
from tests.support.processes import PASSWORD, Site
from tests.support.waiting import wait_until


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


@pytest.fixture(scope="module")
def db(playwright: Playwright, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database, emptied after the last test of a module and not after each."""
    # While the browser's event loop runs, Django has connections of its own for it, which nobody could close later.
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)
        connections.close_all()


@pytest.fixture(scope="module")
def house(db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running site, with jobs in it that have a past.

    Its processes take seconds to start, so the tests of a module share them and what is stored: each has jobs of its own to play with.
    """
    site = Site(tmp_path_factory.mktemp("house"))
    try:
        demo.register_functions()
        demo.fill()
        site.superuser("mira")
        site.env["DJANGO_SETTINGS_MODULE"] = "tests.browser.settings"
        site.start_scheduler(wait=False)
        site.start_web()
        wait_until(lambda: SchedulerInstance.objects.running(now()).exists(), timeout=30, message="the scheduler never completed a tick")
        yield site
    finally:
        site.close()


def log_in(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/admin/")
    page.get_by_label("Username").fill("mira")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview").wait_for()


@pytest.fixture(scope="module")
def logged_in(browser: Browser, house: Site, browser_context_args: dict[str, Any]) -> Any:
    """The cookies of somebody who has typed name and password, once for a module."""
    context = browser.new_context(**browser_context_args)
    log_in(context.new_page(), house.base_url)
    cookies = context.storage_state()
    context.close()
    return cookies


@pytest.fixture
def page(browser: Browser, browser_context_args: dict[str, Any], logged_in: Any) -> Iterator[Page]:
    """A page of somebody who has logged in."""
    context = browser.new_context(storage_state=logged_in, **browser_context_args)
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def watch(page: Page, house: Site) -> Iterator[Watch]:
    watching = Watch(page, house.base_url)
    yield watching
    assert watching.elsewhere == []
    assert watching.complaints == []


@pytest.fixture
def person(page: Page, house: Site, watch: Watch) -> Page:
    """The same on the first page, of a site that does nothing behind their back."""
    page.goto(f"{house.base_url}/admin/")
    return page
