"""From empty tables through outages and releases: once by calling the jobs, once with the real scheduler."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from jobs.models import Author, JobDefinition, JobRun
from tests.game.support.run_job import RunJob
from tests.support.processes import Site
from tests.support.waiting import wait_until
from vsadmin.game.exceptions import AllSourcesFailed
from vsadmin.game.models import CatalogMod, Feed, FeedState, GameVersion, InstalledMod, VersionEvent
from vsadmin.game.standin.sample_folder import build_sample
from vsadmin.game.standin.server import StandIn

NAMES = ("server_versions_check", "mod_cache_refresh")


def test_outages_and_releases_by_calling_the_jobs(run_job: RunJob, standin: StandIn) -> None:
    standin.switches.apply({"mode": "down"})
    for name in NAMES:
        with pytest.raises(AllSourcesFailed):
            run_job(name)
    assert not GameVersion.objects.exists()
    assert not CatalogMod.objects.exists()
    assert FeedState.objects.cached_at() == {"stable": None, "unstable": None, "mods": None}
    assert all(state.error for state in FeedState.objects.all())

    standin.switches.apply({"mode": "ok"})
    for name in NAMES:
        assert run_job(name)["warnings"] == []
    assert GameVersion.objects.current().count() == 33
    assert CatalogMod.objects.count() == 40
    assert not any(state.error for state in FeedState.objects.all())

    standin.switches.apply({"next_release": True})
    assert run_job("server_versions_check")["stable"]["new"] == ["1.22.8"]
    assert VersionEvent.objects.get().version == "1.22.8"

    standin.switches.apply({"mod_update": "lanternoil"})
    run_job("mod_cache_refresh")
    assert InstalledMod.objects.get(modid="lanternoil").latest_version == "2.2.0"

    ages = FeedState.objects.cached_at()
    standin.switches.apply({"mode": "html"})
    for name in NAMES:
        with pytest.raises(AllSourcesFailed, match="answered HTML"):
            run_job(name)
    assert FeedState.objects.cached_at() == ages
    assert InstalledMod.objects.get(modid="lanternoil").update_available


def ended(job: str, status: str, after: int = 0) -> JobRun:
    """Wait for the job's first run after the run `after` that ended with `status`."""
    runs = JobRun.objects.filter(job_id=job, status=status, pk__gt=after).order_by("pk")
    run = wait_until(runs.first, timeout=60, message=f"no run of {job} {status}")
    assert run is not None
    return run


def last_run() -> int:
    return JobRun.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def start(site: Site) -> subprocess.Popen[bytes]:
    return site.start_scheduler(VS_MOD_LIST_REFRESH_INTERVAL="3600", VS_SERVER_VERSIONS_REFRESH_INTERVAL="86400", VS_GAME_SERVER_WATCH_INTERVAL="1")


def retry_within_a_second() -> None:
    """Edit the jobs like an operator, because their default backoff is up to a minute."""
    JobDefinition.objects.register_defaults()
    for name in NAMES:
        JobDefinition.objects.find(name).edit(Author("operator", "admin"), reason="a faster retry", retry_backoff_seconds=1)


def run_now() -> int:
    """Request both jobs, as "Run now" does; returns the id of the last run before."""
    before = last_run()
    for name in NAMES:
        JobRun.objects.request(name, "operator")
    return before


def test_outages_and_releases_with_the_real_scheduler(site: Site, standin: StandIn) -> None:
    standin.switches.apply({"mode": "down"})
    build_sample(site.folder)
    site.env |= {"VS_VERSIONS_URL": standin.url, "VS_MODDB_URL": standin.url}
    retry_within_a_second()
    scheduler = start(site)
    assert all("nothing could be fetched" in ended(name, "failed").error for name in NAMES)
    assert not GameVersion.objects.exists()
    ended("game_server_watch", "succeeded")

    standin.switches.apply({"mode": "ok"})
    assert [ended(name, "succeeded").cause for name in NAMES] == ["retry", "retry"]
    assert GameVersion.objects.current().count() == 33
    assert InstalledMod.objects.with_updates().count() == 4

    standin.switches.apply({"next_release": True, "mod_update": "lanternoil"})
    before = run_now()
    found: Any = ended("server_versions_check", "succeeded", before).result
    assert found["stable"]["new"] == ["1.22.8"]
    ended("mod_cache_refresh", "succeeded", before)
    assert InstalledMod.objects.get(modid="lanternoil").latest_version == "2.2.0"

    ages = FeedState.objects.cached_at()
    standin.switches.apply({"mode": "truncated"})
    before = run_now()
    assert all("invalid or incomplete JSON" in ended(name, "failed", before).error for name in NAMES)
    assert FeedState.objects.cached_at() == ages

    assert site.stop(scheduler) == 0
    before = last_run()
    start(site)
    ended("game_server_watch", "succeeded", before)
    assert FeedState.objects.cached_at() == ages
    assert FeedState.objects.of(Feed.STABLE).error
    assert GameVersion.objects.find("1.22.8").is_latest
    assert InstalledMod.objects.with_updates().count() == 4
