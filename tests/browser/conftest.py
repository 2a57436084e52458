"""A logged-in browser on a demo site, which fails a test when a page contacts another host or logs an error."""

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


class PageWatch:
    """Records requests to other hosts, and console messages; a violation of the CSP is one."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self.host = urlsplit(base_url).netloc
        self.foreign_requests: list[str] = []
        self.console_messages: list[str] = []
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.console_messages.append(str(error)))

    def violations(self) -> list[str]:
        """The accessibility violations that axe finds.  Running axe itself violates the CSP, which does not count."""
        before = list(self.console_messages)
        found = Axe().run(self.page).response["violations"]
        self.console_messages[:] = before
        return [f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:300]}" for rule in found for node in rule["nodes"]]

    def _request(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.netloc != self.host:
            self.foreign_requests.append(request.url)

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.console_messages.append(message.text)


@pytest.fixture(scope="module")
def db(playwright: Playwright, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database, flushed after a module instead of after each test."""
    # While the browser's event loop runs, Django opens separate connections for it, which cannot be closed later.
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)
        connections.close_all()


@pytest.fixture(scope="module")
def demo_site(db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running site with jobs and a history of runs.

    Its processes take seconds to start, so the tests of a module share them and the database; each test uses jobs of its own.
    """
    site = Site(tmp_path_factory.mktemp("site"))
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
def logged_in(browser: Browser, demo_site: Site, browser_context_args: dict[str, Any]) -> Any:
    """The cookies of a logged-in user, shared by a module."""
    context = browser.new_context(**browser_context_args)
    log_in(context.new_page(), demo_site.base_url)
    cookies = context.storage_state()
    context.close()
    return cookies


@pytest.fixture
def page(browser: Browser, browser_context_args: dict[str, Any], logged_in: Any) -> Iterator[Page]:
    """A page in a browser that is logged in."""
    context = browser.new_context(storage_state=logged_in, **browser_context_args)
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def watch(page: Page, demo_site: Site) -> Iterator[PageWatch]:
    watching = PageWatch(page, demo_site.base_url)
    yield watching
    assert watching.foreign_requests == []
    assert watching.console_messages == []


@pytest.fixture
def admin_page(page: Page, demo_site: Site, watch: PageWatch) -> Page:
    """The page on the overview, watched by `watch`."""
    page.goto(f"{demo_site.base_url}/admin/")
    return page
