"""The game's job functions, with their default schedules."""

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
    """Reads the mod folders and the mod database, and compares installed mods with their releases."""
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
    """Fetches the game versions of the stable and the unstable channel."""
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
    """Observes the game server's process and files."""
    before = ServerStatus.objects.last_observed()
    observed_at = now()
    observation = observe(settings.DATA_DIR, settings.SERVER_DIR, before, observed_at)
    change = ServerStatus.objects.record(observation, observed_at)
    if change is not None:
        log.info("game_server_changed", **change.facts)
    if change is not None and (before is None or before.version != observation.version):
        InstalledMod.objects.assess(observation.version)
    return {"state": observation.state, "version": observation.version or None, "pending_restart": bool(observation.pending_reasons), "changed": change is not None}
