"""The game's admin pages."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from tests.game.support.run_job import RunJob
from vsadmin.game.admin.installed import COMPATIBILITY_BADGES
from vsadmin.game.admin.server import STATE_BADGES
from vsadmin.game.models import CatalogMod, Compatibility, GameVersion, InstalledMod, ServerStatus
from vsadmin.game.observation import ServerState
from vsadmin.game.standin.server import StandIn

LISTS = ["catalogmod", "feedstate", "gameversion", "installedmod", "serverstatus", "serverstatuschange", "versionevent"]


@pytest.fixture
def filled(run_job: RunJob, standin: StandIn) -> None:
    for name in ("game_server_watch", "server_versions_check", "mod_cache_refresh"):
        run_job(name)
    standin.switches.apply({"next_release": True})
    run_job("server_versions_check")


def text(client: Client, listing: str, query: str = "") -> str:
    response = client.get(reverse(f"admin:game_{listing}_changelist") + query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("listing", LISTS)
def test_every_list_is_read_only(admin_client: Client, filled: None, listing: str) -> None:
    html = text(admin_client, listing)
    add = reverse(f"admin:game_{listing}_add")
    assert add not in html
    assert 'name="action"' not in html
    assert admin_client.get(add).status_code == 403


@pytest.mark.parametrize("listing", LISTS)
def test_every_list_works_without_rows(admin_client: Client, listing: str) -> None:
    text(admin_client, listing)


def test_installed_mods_with_an_update_come_first_with_a_badge(admin_client: Client, filled: None) -> None:
    html = text(admin_client, "installedmod")
    assert '<span class="vs-badge vs-badge--warn">update to 2.1.0</span>' in html
    assert '<span class="vs-badge vs-badge--ok">up to date</span>' in html
    assert '<span class="vs-badge vs-badge--warn">not verified</span>' in html
    assert html.index("Lantern Oil") < html.index("DeepForge")


def test_mods_are_filtered_by_compatibility(admin_client: Client, filled: None) -> None:
    html = text(admin_client, "installedmod", "?compatibility__exact=compatible")
    assert "DeepForge" in html
    assert "Lantern Oil" not in html


@pytest.mark.parametrize(("wanted", "shown"), [("problem", True), ("fine", False)])
def test_packages_are_filtered_by_their_problem(admin_client: Client, filled: None, wanted: str, shown: bool) -> None:
    assert ("nothing_at_all.zip" in text(admin_client, "installedmod", f"?package={wanted}")) is shown


def test_a_mod_s_page_shows_releases_and_cleaned_html(admin_client: Client, filled: None) -> None:
    mod = InstalledMod.objects.get(modid="lanternoil")
    html = admin_client.get(reverse("admin:game_installedmod_change", args=[mod.pk])).content.decode()
    assert "<em>fat</em>" in html
    assert "alert(1)" not in html
    assert "2.1.0" in html
    assert f'href="{mod.url}"' in html


def test_the_catalogue_has_installed_mods_first(admin_client: Client, filled: None) -> None:
    html = text(admin_client, "catalogmod")
    assert html.index("Old Roads") < html.index("Kiln Ledger")
    assert "update available" in html
    assert admin_client.get(reverse("admin:game_catalogmod_change", args=[CatalogMod.objects.all()[0].pk])).status_code == 200
    assert "Quernstone" in text(admin_client, "catalogmod", "?q=quern")


def test_the_versions_page_counts_newer_versions(admin_client: Client, filled: None) -> None:
    html = text(admin_client, "gameversion")
    assert "Version 1.22.6 is installed" in html
    assert '<span class="vs-badge vs-badge--warn">2 newer versions</span>' in html
    assert "installed</span>" in html
    assert "1.22.8" in html
    assert "1.22.8" in text(admin_client, "versionevent")
    assert admin_client.get(reverse("admin:game_gameversion_change", args=[GameVersion.objects.all()[0].pk])).status_code == 200


def test_the_server_page_shows_its_state(admin_client: Client, filled: None) -> None:
    html = text(admin_client, "serverstatus")
    assert '<span class="vs-badge vs-badge--bad">stopped</span>' in html
    assert "2 newer versions" in html
    assert " free of " in html
    assert admin_client.get(reverse("admin:game_serverstatus_change", args=[ServerStatus.ONLY])).status_code == 200


def test_pages_have_no_inline_style_or_script(admin_client: Client, filled: None) -> None:
    mod = InstalledMod.objects.get(modid="lanternoil")
    for html in (text(admin_client, "gameversion"), admin_client.get(reverse("admin:game_installedmod_change", args=[mod.pk])).content.decode()):
        assert " style=" not in html
        assert "onclick=" not in html


def test_an_upstream_error_is_shown_with_the_age_of_the_data(admin_client: Client, filled: None, run_job: RunJob, standin: StandIn) -> None:
    standin.switches.library.stable = {}
    run_job("server_versions_check")
    assert "feed is empty" in text(admin_client, "gameversion")
    assert "stale" in text(admin_client, "feedstate")


def test_lists_cost_a_fixed_number_of_queries(admin_client: Client, filled: None, django_assert_max_num_queries: object) -> None:
    for listing in ("installedmod", "catalogmod", "serverstatus", "gameversion"):
        with django_assert_max_num_queries(12):  # type: ignore[operator]  # pytest-django's fixture is typed as object
            text(admin_client, listing)


def test_times_are_shown_with_their_time_zone(admin_client: Client, filled: None) -> None:
    for listing in LISTS:
        assert re.search(r"\d\d:\d\d(:\d\d)? UTC<", text(admin_client, listing))


def test_every_state_and_every_compatibility_has_a_badge() -> None:
    assert set(STATE_BADGES) == set(ServerState)
    assert set(COMPATIBILITY_BADGES) == set(Compatibility)


def test_an_unreadable_package_shows_the_reason_beside_its_badge(admin_client: Client, filled: None) -> None:
    assert '<span class="vs-badge vs-badge--bad">unreadable</span> not a zip, or its end is missing' in text(admin_client, "installedmod")
