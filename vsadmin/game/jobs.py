"""The game's job functions: what is worth knowing without asking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.utils.timezone import now

from jobs.registry import job
from vsadmin.game.models import CatalogMod, GameVersion, InstalledMod, ServerStatus
from vsadmin.game.tasks.mod_refresh import refresh_mods
from vsadmin.game.tasks.server_watch import observe
from vsadmin.game.tasks.version_check import check_versions
from vsadmin.game.upstream.client import RetryBudget, Upstream

log = structlog.get_logger()

RETRY_BUDGET = RetryBudget()


def no_mods_known() -> bool:
    return not CatalogMod.objects.exists()


def no_versions_known() -> bool:
    return not GameVersion.objects.exists()


def never_observed() -> bool:
    return ServerStatus.objects.last_observed() is None


@job(
    "mod_cache_refresh",
    interval=timedelta(hours=1),
    setting="MOD_LIST_REFRESH_INTERVAL",
    title="Refresh the mod cache",
    run_at_start=no_mods_known,
    timeout_seconds=1800,
    max_retries=3,
    retry_backoff_seconds=60,
)
async def refresh_mod_cache() -> dict[str, Any]:
    """Read the installed mods, the mod database's list and the installed mods' releases, and compare them."""
    async with Upstream(settings.MODDB_URL, RETRY_BUDGET) as upstream:
        return await refresh_mods(upstream, settings.DATA_DIR, settings.SERVER_DIR)


@job(
    "server_versions_check",
    interval=timedelta(days=1),
    setting="SERVER_VERSIONS_REFRESH_INTERVAL",
    title="Check for new game versions",
    run_at_start=no_versions_known,
    timeout_seconds=300,
    max_retries=10,
    retry_backoff_seconds=30,
)
async def check_server_versions() -> dict[str, Any]:
    """Ask both channels which versions of the game there are."""
    async with Upstream(settings.VERSIONS_URL, RETRY_BUDGET) as upstream:
        return await check_versions(upstream)


@job(
    "game_server_watch",
    interval=timedelta(seconds=10),
    setting="GAME_SERVER_WATCH_INTERVAL",
    title="Watch the game server",
    run_at_start=never_observed,
    timeout_seconds=30,
    keep_runs=100,
)
def watch_game_server() -> dict[str, Any]:
    """Look at the game server's process and files."""
    before = ServerStatus.objects.last_observed()
    moment = now()
    seen = observe(settings.DATA_DIR, settings.SERVER_DIR, before, moment)
    change = ServerStatus.objects.record(seen, moment)
    if change is not None:
        log.info("game_server_changed", **change.facts)
    if change is not None and (before is None or before.version != seen.version):
        InstalledMod.objects.assess(seen.version)
    return {"state": seen.state, "version": seen.version or None, "pending_restart": bool(seen.pending_reasons), "changed": change is not None}
