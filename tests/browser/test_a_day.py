"""The tasks of an administrator, in a real browser on the real site."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from jobs.models import JobDefinition, JobRun
from tests.support.processes import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser
JOBS = "/admin/jobs/jobdefinition/"


def test_an_interval_is_previewed_and_its_change_is_confirmed(admin_page: Page, demo_site: Site) -> None:
    admin_page.locator(".vs-figures").get_by_role("link", name="jobs").click()
    admin_page.locator("#result_list").get_by_role("link", name="Refresh the mod cache").click()
    admin_page.get_by_label("Every").fill("soon")
    expect(admin_page.locator(".vs-preview")).to_contain_text("is not a duration")
    admin_page.get_by_label("Every").fill("15m")
    expect(admin_page.locator(".vs-preview")).to_contain_text("every 15 minutes")
    expect(admin_page.locator(".vs-preview tbody tr")).to_have_count(5)
    admin_page.get_by_label("Reason (optional)").fill("Mod authors asked again")
    admin_page.get_by_role("button", name="Save").click()
    message = admin_page.locator(".messagelist")
    expect(message).to_contain_text(re.compile(r"Applied [\d.]+ s later by .+; next run .+ Europe/Vienna"))
    assert JobDefinition.objects.find("mod-cache").interval_seconds == 900


def test_an_interval_is_set_in_the_list_by_keyboard_alone(admin_page: Page, demo_site: Site) -> None:
    admin_page.goto(demo_site.base_url + JOBS)
    field = admin_page.get_by_label("Interval of Check for new server versions")
    field.focus()
    field.fill("45m")
    field.press("Enter")
    expect(admin_page.locator(".messagelist")).to_contain_text("Applied")
    expect(admin_page.get_by_label("Interval of Check for new server versions")).to_have_value("45m")
    switch = admin_page.get_by_role("switch", name="Check for new server versions enabled")
    switch.focus()
    switch.press("Space")
    expect(admin_page.get_by_role("switch", name="Check for new server versions enabled")).to_have_attribute("aria-checked", "false")
    definition = JobDefinition.objects.find("server-versions")
    assert (definition.interval_seconds, definition.enabled) == (2700, False)


def test_a_run_is_requested_and_watched_to_its_end(admin_page: Page, demo_site: Site) -> None:
    admin_page.goto(f"{demo_site.base_url}{JOBS}season-reset/change/")
    admin_page.get_by_role("link", name="Run now").click()
    admin_page.get_by_label("steps").fill("6")
    admin_page.get_by_role("button", name="Run now").click()
    expect(admin_page.get_by_role("progressbar")).to_be_visible()
    expect(admin_page.locator("[data-run-progress]")).to_contain_text("of 6")
    expect(admin_page.locator("[data-run-log]")).to_contain_text("packed")
    expect(admin_page.locator("[data-run-status]")).to_contain_text("succeeded")
    expect(admin_page.locator("[data-run-log]")).to_contain_text("chunk=6")
    expect(admin_page.get_by_text('"chunks": 6')).to_be_visible()
    assert JobRun.objects.latest("pk").requested_by == "mira"


def test_a_job_is_paused_with_a_reason_and_resumed(admin_page: Page, demo_site: Site) -> None:
    admin_page.goto(f"{demo_site.base_url}{JOBS}world-backup/change/")
    admin_page.get_by_role("link", name="Pause").click()
    admin_page.get_by_label("Reason (optional)").fill("the disk is full")
    admin_page.get_by_role("button", name="Pause").click()
    expect(admin_page.locator(".vs-state")).to_contain_text("the disk is full")
    wait_until(lambda: JobDefinition.objects.find("world-backup").paused_until is not None)
    admin_page.get_by_role("link", name="Resume").click()
    admin_page.get_by_role("button", name="Resume").click()
    expect(admin_page.locator(".vs-state")).not_to_contain_text("the disk is full")


def test_concurrent_edits_of_two_users_lose_nothing(admin_page: Page, demo_site: Site) -> None:
    admin_page.goto(f"{demo_site.base_url}{JOBS}server-watch/change/")
    other = admin_page.context.new_page()
    other.goto(f"{demo_site.base_url}{JOBS}server-watch/change/")
    other.get_by_label("Every").fill("2h")
    other.get_by_label("Reason (optional)").fill("less traffic")
    other.get_by_role("button", name="Save").click()
    expect(other.locator(".messagelist")).to_contain_text("Saved")
    admin_page.get_by_label("Title").fill("Watch every server")
    admin_page.get_by_label("Every").fill("15m")
    admin_page.get_by_role("button", name="Save").click()
    expect(admin_page.get_by_role("heading", name="Changed while you were editing")).to_be_visible()
    expect(admin_page.locator(".vs-conflict")).to_contain_text("less traffic")
    expect(admin_page.get_by_text("mira changed this to 2h. Save again to use your value.")).to_be_visible()
    assert JobDefinition.objects.find("server-watch").interval_seconds == 7200
    admin_page.get_by_label("Every").fill("2h")
    admin_page.get_by_role("button", name="Save").click()
    expect(admin_page.locator(".messagelist")).to_contain_text("Applied")
    definition = JobDefinition.objects.find("server-watch")
    assert (definition.title, definition.interval_seconds) == ("Watch every server", 7200)


def test_an_old_revision_is_restored(admin_page: Page, demo_site: Site) -> None:
    admin_page.goto(f"{demo_site.base_url}{JOBS}world-backup/change/")
    admin_page.get_by_role("link", name="History", exact=True).click()
    expect(admin_page.locator(".vs-history")).to_contain_text("Season start: more players at night")
    first = admin_page.locator(".vs-history > li").last
    first.get_by_label("Reason (optional)").fill("the old rhythm was better")
    first.get_by_role("button", name="Restore revision 1").click()
    expect(admin_page.locator(".messagelist")).to_contain_text("Revision 1 restored.")
    expect(admin_page.locator(".vs-history > li").first).to_contain_text("the old rhythm was better")
    assert JobDefinition.objects.find("world-backup").timeout_seconds is None


def test_many_jobs_are_paused_together(admin_page: Page, demo_site: Site) -> None:
    admin_page.goto(demo_site.base_url + JOBS)
    for job_id in ("player-digest", "season-reset"):
        admin_page.locator(f'input[name="_selected_action"][value="{job_id}"]').check()
    admin_page.get_by_label("Action:").select_option("pause")
    admin_page.get_by_role("button", name="Go").click()
    admin_page.get_by_label("Reason (optional)").fill("moving demo_site")
    admin_page.get_by_role("button", name="Pause").click()
    expect(admin_page.locator(".messagelist")).to_contain_text("2 jobs paused.")
    assert JobDefinition.objects.filter(pause_reason="moving demo_site").count() == 2


def test_the_list_warns_when_the_scheduler_is_gone(admin_page: Page, demo_site: Site) -> None:
    admin_page.goto(demo_site.base_url + JOBS)
    expect(admin_page.locator(".vs-scheduler")).to_contain_text("scheduler running")
    scheduler = next(process for process in demo_site.processes if "runscheduler" in str(process.args))
    demo_site.stop(scheduler)
    try:
        expect(admin_page.get_by_role("alert")).to_contain_text("No scheduler is running", timeout=30_000)
    finally:
        demo_site.start_scheduler(wait=False)
