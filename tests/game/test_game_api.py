"""The game's API operations with the monitor role."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from tests.game.support.run_job import RunJob
from vsadmin.game.models import InstalledMod
from vsadmin.game.standin.server import StandIn

KEY = "a-monitor-key-for-tests-only"
VERSION_KEYS = {"version", "channel", "filename", "filesize", "md5", "cdn_url", "local_url", "is_latest", "first_seen_at"}
MOD_KEYS = {
    *("modid", "name", "version", "authors", "side", "file", "enabled", "problem"),
    *("latest_version", "latest_compatible_version", "update_available", "compatibility", "url", "checked_at"),
}
SERVER_KEYS = {
    *("state", "version", "uptime_seconds", "port", "pending_restart", "pending_reasons", "checked_at"),
    *("available_stable_version", "available_unstable_version", "version_last_checked", "disk_space"),
}


@pytest.fixture
def get(db: None, client: Client, settings: Settings) -> Any:
    settings.API_KEY_MONITOR = KEY

    def ask(path: str, expected: int = 200) -> Any:
        response = client.get(f"/api/v1alpha1{path}", headers={"X-API-Key": KEY})
        assert response.status_code == expected, response.content
        return response.json()["data"] if expected == 200 else response.json()

    return ask


@pytest.fixture
def filled(run_job: RunJob, standin: StandIn) -> None:
    """Every job has run once, and then both upstream services went down."""
    for name in ("game_server_watch", "server_versions_check", "mod_cache_refresh"):
        run_job(name)
    standin.switches.apply({"mode": "down"})
    standin.switches.requested_paths.clear()


def test_versions_come_highest_first_with_their_age(get: Any, filled: None) -> None:
    data = get("/versions")
    assert (data["total"], len(data["versions"])) == (33, 33)
    assert set(data["versions"][0]) == VERSION_KEYS
    assert [version["version"] for version in data["versions"] if version["is_latest"]] == ["1.23.0-pre.2", "1.22.7"]
    assert data["cached_at"]["stable"]
    assert data["cached_at"]["unstable"]


def test_versions_are_filtered_by_channel(get: Any, filled: None) -> None:
    assert {version["channel"] for version in get("/versions?channel=unstable")["versions"]} == {"unstable"}


def test_before_the_first_check_there_are_no_versions_and_no_age(get: Any) -> None:
    assert get("/versions") == {"versions": [], "total": 0, "cached_at": {"stable": None, "unstable": None}}


def test_one_version_is_found_and_an_unknown_one_is_404(get: Any, filled: None) -> None:
    version = get("/versions/1.22.7")["version"]
    assert (version["filename"], version["is_latest"]) == ("vs_server_linux-x64_1.22.7.tar.gz", True)
    problem = get("/versions/9.9.9", expected=404)
    assert (problem["code"], problem["status"]) == ("VERSION_NOT_FOUND", 404)


def test_a_version_without_a_server_build_has_nulls(get: Any, filled: None) -> None:
    version = get("/versions/1.9.14")["version"]
    assert [version[name] for name in ("filename", "filesize", "md5", "cdn_url", "local_url")] == [None] * 5


def test_installed_mods_come_with_updates_first(get: Any, filled: None) -> None:
    data = get("/mods")
    assert set(data) == {"mods", "total", "next", "cached_at"}
    assert set(data["mods"][0]) == MOD_KEYS
    assert [mod["update_available"] for mod in data["mods"]] == [True] * 4 + [False] * 8
    assert data["total"] == 12
    rules = next(mod for mod in data["mods"] if mod["modid"] == "ourhouserules")
    assert (rules["latest_version"], rules["url"], rules["compatibility"], rules["problem"]) == (None, None, "unknown", None)


@pytest.mark.parametrize(
    ("query", "count"),
    [("search=lantern", 1), ("search=LANTERN", 1), ("search=石窯", 1), ("updates_only=true", 4), ("search=old&updates_only=true", 1), ("search=%00", 12)],
)
def test_mods_can_be_searched_and_narrowed_to_updates(get: Any, filled: None, query: str, count: int) -> None:
    assert get(f"/mods?{query}")["total"] == count


def test_mods_come_in_pages(get: Any, filled: None) -> None:
    first = get("/mods?limit=5&search=o")
    second = get(first["next"].split("/api/v1alpha1")[1])
    assert len(first["mods"]) == 5
    assert not {mod["file"] for mod in first["mods"]} & {mod["file"] for mod in second["mods"]}


def test_the_server_s_status(get: Any, filled: None) -> None:
    data = get("/server/status")
    assert set(data) == SERVER_KEYS
    assert (data["state"], data["version"], data["port"], data["uptime_seconds"]) == ("stopped", "1.22.6", 42420, None)
    assert (data["available_stable_version"], data["available_unstable_version"]) == ("1.22.7", "1.23.0-pre.2")
    assert data["version_last_checked"]
    assert data["disk_space"]["low"] is False


def test_before_the_first_observation_the_server_is_not_installed(get: Any) -> None:
    data = get("/server/status")
    assert set(data) == SERVER_KEYS
    assert (data["state"], data["disk_space"], data["available_stable_version"]) == ("not_installed", None, None)


@pytest.mark.parametrize(
    "path",
    [
        "/versions?channel=beta",
        "/versions?chanel=stable",
        "/versions/1.22.7?x=1",
        "/mods?limit=201",
        "/mods?limit=0",
        "/mods?serach=x",
        "/mods?updates_only=perhaps",
        "/mods?offset=-1",
        "/server/status?x=1",
    ],
)
def test_unknown_parameters_and_values_are_rejected(get: Any, path: str) -> None:
    assert get(path, expected=422)["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("path", ["/versions", "/versions/1.22.7", "/mods", "/server/status"])
def test_operations_do_not_contact_upstream_and_require_a_key(get: Any, filled: None, client: Client, standin: StandIn, path: str) -> None:
    get(path)
    assert standin.switches.requested_paths == []
    assert client.get(f"/api/v1alpha1{path}").status_code == 401


def test_two_hundred_mods_cost_a_fixed_number_of_queries(get: Any, filled: None, django_assert_max_num_queries: Any) -> None:
    mod = InstalledMod.objects.first()
    assert mod is not None
    for number in range(200):
        mod.pk, mod.file = None, f"Mods/{number}.zip"
        mod.save(force_insert=True)
    with django_assert_max_num_queries(8):
        assert len(get("/mods")["mods"]) == 200
