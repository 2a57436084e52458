"""What a person does with jobs on a day, in a real browser on the real site."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from jobs.models import JobDefinition, JobRun
from tests.support.processes import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser
JOBS = "/admin/jobs/jobdefinition/"


def test_an_interval_is_changed_seen_before_and_confirmed_after(person: Page, house: Site) -> None:
    person.locator(".vs-figures").get_by_role("link", name="jobs").click()
    person.locator("#result_list").get_by_role("link", name="Refresh the mod cache").click()
    person.get_by_label("Every").fill("soon")
    expect(person.locator(".vs-preview")).to_contain_text("is no length of time")
    person.get_by_label("Every").fill("15m")
    expect(person.locator(".vs-preview")).to_contain_text("every 15 minutes")
    expect(person.locator(".vs-preview tbody tr")).to_have_count(5)
    person.get_by_label("Why").fill("Mod authors asked again")
    person.get_by_role("button", name="Save").click()
    told = person.locator(".messagelist")
    expect(told).to_contain_text(re.compile(r"Applied [\d.]+ s later by .+; next run .+ Europe/Vienna"))
    assert JobDefinition.objects.find("mod-cache").interval_seconds == 900


def test_an_interval_is_set_in_the_list_by_keyboard_alone(person: Page, house: Site) -> None:
    person.goto(house.base_url + JOBS)
    field = person.get_by_label("Interval of Check for new server versions")
    field.focus()
    field.fill("45m")
    field.press("Enter")
    expect(person.locator(".messagelist")).to_contain_text("Applied")
    expect(person.get_by_label("Interval of Check for new server versions")).to_have_value("45m")
    switch = person.get_by_role("switch", name="Check for new server versions enabled")
    switch.focus()
    switch.press("Space")
    expect(person.get_by_role("switch", name="Check for new server versions enabled")).to_have_attribute("aria-checked", "false")
    definition = JobDefinition.objects.find("server-versions")
    assert (definition.interval_seconds, definition.enabled) == (2700, False)


def test_a_run_is_requested_and_watched_to_its_end(person: Page, house: Site) -> None:
    person.goto(f"{house.base_url}{JOBS}season-reset/change/")
    person.get_by_role("link", name="Run now").click()
    person.get_by_label("steps").fill("6")
    person.get_by_role("button", name="Run now").click()
    expect(person.get_by_role("progressbar")).to_be_visible()
    expect(person.locator("[data-run-progress]")).to_contain_text("of 6")
    expect(person.locator("[data-run-log]")).to_contain_text("packed")
    expect(person.locator("[data-run-status]")).to_contain_text("succeeded")
    expect(person.locator("[data-run-log]")).to_contain_text("chunk=6")
    expect(person.get_by_text('"chunks": 6')).to_be_visible()
    assert JobRun.objects.latest("pk").requested_by == "mira"


def test_a_job_is_paused_with_a_reason_and_resumed(person: Page, house: Site) -> None:
    person.goto(f"{house.base_url}{JOBS}world-backup/change/")
    person.get_by_role("link", name="Pause").click()
    person.get_by_label("Why").fill("the disk is full")
    person.get_by_role("button", name="Pause").click()
    expect(person.locator(".vs-state")).to_contain_text("the disk is full")
    wait_until(lambda: JobDefinition.objects.find("world-backup").paused_until is not None)
    person.get_by_role("link", name="Resume").click()
    person.get_by_role("button", name="Resume").click()
    expect(person.locator(".vs-state")).not_to_contain_text("the disk is full")


def test_two_people_at_once_lose_nothing(person: Page, house: Site) -> None:
    person.goto(f"{house.base_url}{JOBS}server-watch/change/")
    other = person.context.new_page()
    other.goto(f"{house.base_url}{JOBS}server-watch/change/")
    other.get_by_label("Every").fill("2h")
    other.get_by_label("Why").fill("less traffic")
    other.get_by_role("button", name="Save").click()
    expect(other.locator(".messagelist")).to_contain_text("Saved")
    person.get_by_label("Title").fill("Watch every server")
    person.get_by_label("Every").fill("15m")
    person.get_by_role("button", name="Save").click()
    expect(person.get_by_role("heading", name="Changed meanwhile")).to_be_visible()
    expect(person.locator(".vs-conflict")).to_contain_text("less traffic")
    expect(person.get_by_text("mira set this to 2h meanwhile")).to_be_visible()
    assert JobDefinition.objects.find("server-watch").interval_seconds == 7200
    person.get_by_label("Every").fill("2h")
    person.get_by_role("button", name="Save").click()
    expect(person.locator(".messagelist")).to_contain_text("Applied")
    definition = JobDefinition.objects.find("server-watch")
    assert (definition.title, definition.interval_seconds) == ("Watch every server", 7200)


def test_a_job_goes_back_to_how_it_was(person: Page, house: Site) -> None:
    person.goto(f"{house.base_url}{JOBS}world-backup/change/")
    person.get_by_role("link", name="History").click()
    expect(person.locator(".vs-history")).to_contain_text("Season start: more players at night")
    first = person.locator(".vs-history > li").last
    first.get_by_label("Why").fill("the old rhythm was better")
    first.get_by_role("button", name="Revert to 1").click()
    expect(person.locator(".messagelist")).to_contain_text("Back to revision 1.")
    expect(person.locator(".vs-history > li").first).to_contain_text("the old rhythm was better")
    assert JobDefinition.objects.find("world-backup").timeout_seconds is None


def test_many_jobs_are_paused_together(person: Page, house: Site) -> None:
    person.goto(house.base_url + JOBS)
    for job_id in ("player-digest", "season-reset"):
        person.locator(f'input[name="_selected_action"][value="{job_id}"]').check()
    person.get_by_label("Action:").select_option("pause")
    person.get_by_role("button", name="Go").click()
    person.get_by_label("Why").fill("moving house")
    person.get_by_role("button", name="Pause").click()
    expect(person.locator(".messagelist")).to_contain_text("Paused. 2 jobs.")
    assert JobDefinition.objects.filter(pause_reason="moving house").count() == 2


def test_the_list_tells_when_the_scheduler_is_gone(person: Page, house: Site) -> None:
    person.goto(house.base_url + JOBS)
    expect(person.locator(".vs-scheduler")).to_contain_text("scheduler running")
    scheduler = next(process for process in house.processes if "runscheduler" in str(process.args))
    house.stop(scheduler)
    try:
        expect(person.get_by_role("alert")).to_contain_text("No scheduler is running", timeout=30_000)
    finally:
        house.start_scheduler(wait=False)
