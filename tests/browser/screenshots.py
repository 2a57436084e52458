"""Take screenshots of the six main pages for the documentation: `python -m tests.browser.screenshots [--scheme dark] [--into FOLDER]`.

It starts the real site on a database of its own with demo data.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
TALLEST = 2400
"""Height in pixels at which a screenshot is cut."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--into", type=Path, default=Path("docs/screenshots"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VS_DATABASE_URL"] = f"sqlite:///{folder}/site.sqlite3"
        take(Path(folder), options.into, options.scheme)


def take(folder: Path, into: Path, scheme: str) -> None:
    import tests.settings  # noqa: F401 -- sets the environment of the site

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.browser.settings"
    import django

    django.setup()
    from django.core.management import call_command

    from tests.browser import demo
    from tests.support.processes import Site

    call_command("migrate", verbosity=0)
    demo.fill()
    site = Site(folder)
    site.env |= {"DJANGO_SETTINGS_MODULE": "tests.browser.settings", "VS_TIME_ZONE": demo.ZONE}
    try:
        site.superuser("mira")
        site.start_web()
        site.start_scheduler()
        _photograph(site.base_url, _addresses(), into, scheme)
    finally:
        site.close()


def _addresses() -> dict[str, str]:
    from jobs.models import JobDefinition, JobRun
    from tests.browser.demo import MIRA
    from tests.support.waiting import wait_until

    requested = JobDefinition.objects.find("season-reset").request_run(MIRA, {"steps": 400})
    wait_until(lambda: (JobRun.objects.find(requested.pk).progress or {}).get("done", 0) > 5, message="the run did not start")
    return {
        "overview": "/admin/",
        "jobs": "/admin/jobs/jobdefinition/",
        "job": "/admin/jobs/jobdefinition/mod-cache/change/",
        "runs": "/admin/jobs/jobrun/",
        "run": f"/admin/jobs/jobrun/{requested.pk}/change/",
        "history": "/admin/jobs/jobdefinition/world-backup/history/",
    }


def _photograph(base_url: str, addresses: dict[str, str], into: Path, scheme: Any) -> None:
    # The ORM refuses to work in a thread with a running event loop, which Playwright has.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import log_in
    from tests.conftest import CHROMIUM, CHROMIUM_ARGS

    into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        for size, (width, height) in SIZES.items():
            page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}, locale="en-GB", timezone_id="Europe/Vienna").new_page()
            log_in(page, base_url)
            for name, path in addresses.items():
                page.set_viewport_size({"width": width, "height": height})
                page.goto(base_url + path)
                page.wait_for_load_state("networkidle")
                tall = min(max(page.evaluate("document.documentElement.scrollHeight"), height), TALLEST)
                page.set_viewport_size({"width": width, "height": tall})
                page.screenshot(path=into / f"{name}-{size}.png")
        browser.close()


if __name__ == "__main__":
    main()
