"""Fixtures for all tests: the database, a running site, a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Browser, BrowserType, Playwright, sync_playwright
from pytest_django import DjangoDbBlocker

from tests.settings import use_database_file
from tests.support.emptying import use_for_every_test
from tests.support.processes import Site, database_url

CHROMIUM = shutil.which("chromium")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "page" in getattr(item, "fixturenames", ()) or "context" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
            item.add_marker("once")  # tests/jobs/admin tests the queries of the pages on both databases
        if item.get_closest_marker("browser") and not CHROMIUM:
            item.add_marker(pytest.mark.skip(reason="no chromium on this machine (Debian: apt install chromium)"))
        for vendor in ("postgresql", "sqlite"):
            if item.get_closest_marker(vendor) and connection.vendor != vendor:
                item.add_marker(pytest.mark.skip(reason=f"only on {vendor}"))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give each run, and each of its workers, a test database of its own."""
    if connection.vendor == "sqlite":
        use_database_file(connection.settings_dict, tmp_path_factory.getbasetemp())
    else:
        connection.settings_dict["TEST"]["NAME"] = f"test_vsadmin_{os.getpid()}"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let processes that the code under test starts find the test database, not the developer's."""
    os.environ["VS_DATABASE_URL"] = database_url()
    use_for_every_test()
    if connection.vendor == "postgresql":
        # A test database may be lost in a crash, and waiting for the disk takes a millisecond or more for each commit.
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" SET synchronous_commit = off')
        connection.close()


@pytest.fixture
def site(transactional_db: None, tmp_path: Path) -> Iterator[Site]:
    """Real processes (web server, scheduler) on the test database."""
    running = Site(tmp_path)
    try:
        yield running
    finally:
        running.close()


# pytest-playwright keeps its event loop running from the first browser test to the end of the session, which
# breaks asyncio and Django's ORM for every later test of the worker.  These fixtures end the loop with the module.


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    # The ORM refuses to work in a thread with a running loop; nothing here awaits it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as running:
        yield running
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": CHROMIUM, "args": CHROMIUM_ARGS, "headless": True}


@pytest.fixture(scope="module")
def browser_type(playwright: Playwright, browser_name: str) -> BrowserType:
    chosen: BrowserType = getattr(playwright, browser_name)
    return chosen


@pytest.fixture(scope="module")
def launch_browser(browser_type_launch_args: dict[str, Any], browser_type: BrowserType) -> Callable[..., Browser]:
    def launch(**options: Any) -> Browser:
        return browser_type.launch(**{**browser_type_launch_args, **options})

    return launch


@pytest.fixture(scope="module")
def browser(launch_browser: Callable[..., Browser]) -> Iterator[Browser]:
    running = launch_browser()
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser_context_args() -> dict[str, Any]:
    return {"locale": "en-GB", "timezone_id": "Europe/Vienna"}
