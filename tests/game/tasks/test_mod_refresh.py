"""The refresh of the mod cache, against real HTTP and real folders."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from structlog.testing import capture_logs

from jobs import registry
from jobs.engine.run import ClaimedRun
from tests.game.support.run_job import SHORT_BUDGET, RunJob
from vsadmin.game.exceptions import AllSourcesFailed
from vsadmin.game.models import CatalogMod, FeedState, InstalledMod, ModRelease
from vsadmin.game.standin.sample_folder import write_zip
from vsadmin.game.standin.server import StandIn

REFRESH = "mod_cache_refresh"


def assessments() -> dict[str, tuple[str, str, bool, str]]:
    mods = InstalledMod.objects.all()
    return {mod.modid: (mod.latest_version, mod.latest_compatible_version, mod.update_available, mod.compatibility) for mod in mods}


def requested_pages(standin: StandIn) -> int:
    return sum(path.startswith("/api/mod/") for path in standin.switches.requested_paths)


def test_each_installed_mod_is_compared_with_its_releases(run_job: RunJob) -> None:
    result = run_job(REFRESH)
    assert assessments() == {
        "lanternoil": ("2.1.0", "2.1.0", True, "not_verified"),
        "quernstone": ("2.3.0", "2.3.0", True, "not_verified"),
        "DeepForge": ("4.0.0", "4.0.0", False, "compatible"),
        "stoneovens": ("0.8.4", "0.8.4", False, "compatible"),
        "wayfarerschest": ("3.5.1", "3.5.1", True, "not_verified"),
        "serverbell": ("1.1.0", "1.1.0", False, "not_verified"),
        "oldroads": ("1.0.0", "1.0.0", True, "unknown"),
        "loftladders": ("1.0.0", "1.0.0", False, "compatible"),
        "idlepause": ("1.0.0", "1.0.0", False, "compatible"),
        "ourhouserules": ("", "", False, "unknown"),
        "brokenmodinfo": ("", "", False, "unknown"),
        "nothingatall": ("", "", False, "unknown"),
    }
    assert result["list"] == {"mods": 40, "refused": 0, "added": 40, "changed": 0, "withdrawn": 0}
    assert result["details"] == {"fetched": 9, "failed": 0, "unknown": 0, "fresh": 0}
    assert (result["installed"], result["with_problem"], result["updates_available"], result["warnings"]) == (12, 2, 4, [])


def test_links_lead_to_the_mod_page_and_times_are_utc(run_job: RunJob, settings: Any) -> None:
    run_job(REFRESH)
    mod = InstalledMod.objects.get(modid="lanternoil")
    assert mod.url == f"{settings.MODDB_URL}/show/mod/41111"
    assert mod.checked_at is not None
    assert ModRelease.objects.get(version="2.1.0").released_at.isoformat() == "2026-11-18T12:11:10+00:00"  # type: ignore[union-attr]  # None would fail the test


def test_upstream_html_is_cleaned(run_job: RunJob) -> None:
    run_job(REFRESH)
    description = CatalogMod.objects.get(name="Lantern Oil").description
    assert "<em>fat</em>" in description
    assert "script" not in description
    assert 'rel="noopener noreferrer nofollow"' in description


def test_the_next_refresh_fetches_only_changed_mods(run_job: RunJob, standin: StandIn) -> None:
    run_job(REFRESH)
    standin.switches.requested_paths.clear()
    assert run_job(REFRESH)["list"] == {"unchanged": True, "refused": 0}
    assert standin.switches.requested_paths == ["/api/mods"]
    standin.switches.apply({"mod_update": "lanternoil"})
    standin.switches.requested_paths.clear()
    result = run_job(REFRESH)
    assert result["list"] == {"mods": 40, "refused": 0, "added": 0, "changed": 1, "withdrawn": 0}
    assert standin.switches.requested_paths == ["/api/mods", "/api/mod/7037"]
    assert assessments()["lanternoil"][:3] == ("2.2.0", "2.2.0", True)


def test_added_and_removed_packages_are_noticed(run_job: RunJob, folder: Path) -> None:
    run_job(REFRESH)
    (folder / "data/Mods/lanternoil_2.0.3.zip").unlink()
    write_zip(folder / "data/Mods/reed.zip", '{"modid": "REEDRAFTS", "name": "Reed Rafts", "version": "0.5.0"}')
    result = run_job(REFRESH)
    assert (result["installed"], result["changed"], result["removed"]) == (12, 1, 1)
    assert assessments()["REEDRAFTS"][:3] == ("1.0.0", "1.0.0", True)


def test_of_two_packages_of_one_mod_the_lower_version_is_a_duplicate(run_job: RunJob, folder: Path) -> None:
    write_zip(folder / "data/Mods/LanternOil-new.zip", '{"modid": "LanternOil", "name": "Lantern Oil", "version": "2.1.0"}')
    run_job(REFRESH)
    problems = dict(InstalledMod.objects.filter(modid__iexact="lanternoil").values_list("version", "problem"))
    assert problems == {"2.1.0": None, "2.0.3": "duplicate of Mods/LanternOil-new.zip, which the game loads; remove one of the two"}


def test_a_missing_data_folder_keeps_the_known_mods(run_job: RunJob, folder: Path) -> None:
    run_job(REFRESH)
    shutil.move(folder / "data", folder / "unmounted")
    result = run_job(REFRESH)
    assert "VS_DATA_DIR" in result["warnings"][0]
    assert InstalledMod.objects.count() == 12


def test_a_failed_mod_does_not_stop_the_others(run_job: RunJob, standin: StandIn) -> None:
    standin.switches.library.pages[7037]["releases"] = "none"
    result = run_job(REFRESH)
    assert result["details"] == {"fetched": 8, "failed": 1, "unknown": 0, "fresh": 0}
    assert result["warnings"][0].startswith("Lantern Oil: ")
    assert assessments()["quernstone"][2] is True


def test_a_mod_that_upstream_lost_is_unknown_and_not_a_failure(run_job: RunJob, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    library = standin.switches.library
    known = library.page
    monkeypatch.setattr(library, "page", lambda key: None if key == "7037" else known(key))
    assert run_job(REFRESH)["details"]["unknown"] == 1


@pytest.mark.parametrize("mode", ["down", "readonly", "html", "truncated"])
def test_when_every_source_fails_the_run_fails_and_the_data_stays(run_job: RunJob, standin: StandIn, mode: str) -> None:
    run_job(REFRESH)
    before = assessments(), FeedState.objects.of("mods").cached_at
    standin.switches.apply({"service": "mods", "mode": mode})
    with pytest.raises(AllSourcesFailed, match="mods: "):
        run_job(REFRESH)
    assert (assessments(), FeedState.objects.of("mods").cached_at) == before
    assert FeedState.objects.of("mods").error


def test_installed_mods_are_stored_even_when_upstream_never_answered(run_job: RunJob, standin: StandIn) -> None:
    standin.switches.apply({"mode": "down"})
    with pytest.raises(AllSourcesFailed):
        run_job(REFRESH)
    assert InstalledMod.objects.count() == 12
    assert CatalogMod.objects.count() == 0


def test_a_hanging_mod_database_costs_a_few_deadlines_and_not_one_for_each_mod(run_job: RunJob, standin: StandIn, folder: Path) -> None:
    run_job(REFRESH)
    CatalogMod.objects.update(detailed_at=None)
    standin.switches.apply({"service": "mods", "mode": "hang"})
    standin.switches.requested_paths.clear()
    started = time.monotonic()
    with pytest.raises(AllSourcesFailed, match="does not answer"):
        run_job(REFRESH)
    assert requested_pages(standin) <= 4 * SHORT_BUDGET.attempts
    assert time.monotonic() - started < 3 * SHORT_BUDGET.deadline


def test_invalid_items_of_the_list_are_rejected_counted_and_logged(run_job: RunJob, standin: StandIn) -> None:
    bad: list[Any] = [
        None,
        "text",
        {},
        {"modid": "x", "name": "X"},
        {"modid": -1, "name": "X"},
        {"modid": 10**12, "name": "X"},
        {"modid": 9001, "name": None},
    ]
    standin.switches.library.mods += bad
    with capture_logs() as logs:
        result = run_job(REFRESH)
    assert (result["list"]["mods"], result["list"]["refused"]) == (40, 7)
    assert [(line["source"], line["count"]) for line in logs if line["event"] == "upstream_items_refused"] == [("api/mods", 7)]


def test_unusual_values_of_the_list_are_accepted(run_job: RunJob, standin: StandIn) -> None:
    odd = {"modid": "9002", "name": "Odd\x00\ud800", "tags": [""], "side": None, "lastreleased": None, "downloads": "x", "modidstrs": None, "author": 5}
    standin.switches.library.mods.append(odd)
    run_job(REFRESH)
    mod = CatalogMod.objects.get(pk=9002)
    assert (mod.name, mod.tags, mod.side, mod.released_at, mod.downloads, mod.identifiers, mod.author) == ("Odd?", [], "", None, 0, [], "5")


def test_a_mod_that_left_the_list_is_marked_and_may_come_back(run_job: RunJob, standin: StandIn) -> None:
    run_job(REFRESH)
    gone = standin.switches.library.mods.pop()
    assert run_job(REFRESH)["list"]["withdrawn"] == 1
    assert CatalogMod.objects.get(pk=gone["modid"]).withdrawn_at is not None
    standin.switches.library.mods.append(gone)
    assert run_job(REFRESH)["list"]["changed"] == 1
    assert CatalogMod.objects.current().count() == 40


def test_an_empty_list_is_an_error_and_withdraws_no_mods(run_job: RunJob, standin: StandIn) -> None:
    run_job(REFRESH)
    standin.switches.library.mods = []
    with pytest.raises(AllSourcesFailed, match="none of its 0 items"):
        run_job(REFRESH)
    assert CatalogMod.objects.current().count() == 40


def test_no_transaction_is_open_during_a_request(run_job: RunJob, standin: StandIn, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    answer = standin.switches.library.page

    def page(key: str) -> Any:
        seen.append(connection.in_atomic_block)
        return answer(key)

    monkeypatch.setattr(standin.switches.library, "page", page)
    with CaptureQueriesContext(connection):
        run_job(REFRESH)
    assert seen
    assert not any(seen)


class RecordedRun(ClaimedRun):
    """A run that records its progress."""

    def __init__(self) -> None:
        super().__init__(id=1, job_id=REFRESH, scheduled_for=now(), function=REFRESH, kwargs={})
        self.steps: list[tuple[float, float, str]] = []

    def progress(self, done: float, total: float, text: str = "") -> None:
        self.steps.append((done, total, text))


def test_progress_is_reported_during_the_run(run_job: RunJob) -> None:
    run = RecordedRun()
    token = registry.enter_run(run)
    try:
        run_job(REFRESH)
    finally:
        registry.leave_run(token)
    assert [run.steps[0], run.steps[-1]] == [(0, 1, "reading the mod folders"), (9, 9, "comparing")]
    assert {text for _, _, text in run.steps} >= {"Lantern Oil", "Quernstone"}
    assert all(done <= total for done, total, _ in run.steps)
