"""The mod refresh: reads the mod folders, the mod list, and the details of installed mods."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.utils.timezone import now

from vsadmin.game.disk.mod_folder import take_inventory
from vsadmin.game.disk.server_install import installed_version
from vsadmin.game.exceptions import AllSourcesFailed, UpstreamError, UpstreamUnknownMod
from vsadmin.game.models import CatalogMod, Feed, FeedState, InstalledMod
from vsadmin.game.tasks.progress import report_progress
from vsadmin.game.upstream.client import MAX_CONCURRENT_REQUESTS, MOD_BYTES, MOD_LIST_BYTES, FetchedJson, Upstream
from vsadmin.game.upstream.moddb import ListedMod, ModDetails, Release, parse_mod, parse_mod_list
from vsadmin.game.upstream.rejections import RejectedItems

log = structlog.get_logger()

MOD_LIST = "api/mods"
MAX_WARNINGS = 20


async def refresh_mods(upstream: Upstream, data_dir: Path, server_dir: Path) -> dict[str, Any]:
    """Refresh all mod tables; raises AllSourcesFailed when upstream delivered nothing, after the mod folders are stored."""
    report_progress(0, 1, "reading the mod folders")
    found, warnings = await sync_to_async(scan)(data_dir, server_dir)
    failures: dict[str, str] = {}
    listed = await _refresh_list(upstream, failures)
    details = await _refresh_details(upstream, failures, list_failed=Feed.MODS in failures)
    await sync_to_async(_assess)(data_dir, server_dir, list_known=Feed.MODS not in failures)
    if failures and not details["fetched"] and (Feed.MODS in failures or not details["fresh"]):
        raise AllSourcesFailed(_shorten(failures))
    updates = await sync_to_async(InstalledMod.objects.with_updates().count)()
    warnings += [f"{source}: {reason}" for source, reason in _shorten(failures).items()]
    return {**found, "list": listed, "details": details, "updates_available": updates, "warnings": warnings}


def _shorten(failures: dict[str, str]) -> dict[str, str]:
    """The first twenty failures and the number of the others, because an outage fails every installed mod alike."""
    first = dict(list(failures.items())[:MAX_WARNINGS])
    return first | ({"more": f"{len(failures) - MAX_WARNINGS} further failures"} if len(failures) > MAX_WARNINGS else {})


def scan(data_dir: Path, server_dir: Path) -> tuple[dict[str, Any], list[str]]:
    """Store the packages in the mod folders; returns the counts, and a warning for each unreadable folder."""
    inventory = take_inventory(data_dir, server_dir)
    counts: dict[str, Any] = dict(InstalledMod.objects.replace(inventory.mods, inventory.unreadable.keys(), now()))
    counts["with_problem"] = InstalledMod.objects.exclude(problem=None).count()
    warnings = [*inventory.unreadable.values(), *filter(None, [inventory.config_problem])]
    for warning in warnings:
        log.warning("mod_folder_unreadable", reason=warning)
    return counts, warnings


async def _refresh_list(upstream: Upstream, failures: dict[str, str]) -> dict[str, Any] | None:
    report_progress(0, 1, "fetching the mod list")
    state = await sync_to_async(FeedState.objects.of)(Feed.MODS)
    try:
        fetched = await upstream.get_json(MOD_LIST, MOD_LIST_BYTES, state.validators_for(upstream.url(MOD_LIST)))
        if fetched.is_unchanged:
            await sync_to_async(state.confirm)(now())
            return {"unchanged": True, "refused": state.refused}
        rejected = RejectedItems()
        mods = await asyncio.to_thread(parse_mod_list, fetched.url, fetched.data, rejected)
    except UpstreamError as error:
        failures[Feed.MODS] = str(error)
        log.warning("mod_list_failed", error=str(error))
        await sync_to_async(state.fail)(now(), error)
        return None
    rejected.log_summary(MOD_LIST)
    return await sync_to_async(_store_list)(state, upstream.url(MOD_LIST), fetched, mods, rejected)


def _store_list(state: FeedState, url: str, fetched: FetchedJson, mods: list[ListedMod], rejected: RejectedItems) -> dict[str, Any]:
    fetched_at = now()
    counts = CatalogMod.objects.store(mods, fetched_at)
    state.succeed(fetched_at, url, fetched.validators, rejected.count)
    log.info("mod_list_stored", mods=len(mods), refused=rejected.count, **counts)
    return {"mods": len(mods), "refused": rejected.count, **counts}


def _installed_pages() -> tuple[list[CatalogMod], int]:
    """The pages of installed mods with stale details, and the number of fresh ones."""
    InstalledMod.objects.link_to_catalog()
    pages = CatalogMod.objects.current().filter(installed__isnull=False).distinct()
    stale = pages.stale(now())
    return stale, pages.count() - len(stale)


async def _refresh_details(upstream: Upstream, failures: dict[str, str], *, list_failed: bool) -> dict[str, int]:
    stale, fresh = await sync_to_async(_installed_pages)()
    # When the list failed too, one more failure is enough to give up.
    details = DetailsRound(upstream, failures, total=len(stale), outages_in_a_row=MAX_CONCURRENT_REQUESTS - 1 if list_failed else 0)
    queue = iter(stale)

    async def work() -> None:
        for mod in queue:
            details.counts[await details.refresh(mod)] += 1

    # One worker for each concurrent request, so that at most that many answers are in memory.
    async with asyncio.TaskGroup() as group:
        for _ in range(MAX_CONCURRENT_REQUESTS):
            group.create_task(work())
    report_progress(len(stale), len(stale) or 1, "comparing")
    return {**details.counts, "fresh": fresh}


@dataclass(slots=True)
class DetailsRound:
    """Fetches the details of installed mods in one run of the job, and gives up when the mod database is down."""

    upstream: Upstream
    failures: dict[str, str]
    total: int
    counts: dict[str, int] = field(default_factory=lambda: {"fetched": 0, "failed": 0, "unknown": 0})
    outages_in_a_row: int = 0
    """Consecutive transient failures, such as timeouts, since the last success."""

    async def refresh(self, mod: CatalogMod) -> str:
        """Fetch and store one mod; returns its key in `counts`.  Upstream errors are collected, so that the other mods go on."""
        report_progress(sum(self.counts.values()), self.total, mod.name)
        if self.outages_in_a_row >= MAX_CONCURRENT_REQUESTS:
            # The mod database is down: waiting one deadline for each of two hundred mods would take hours.
            self.failures[mod.name] = "skipped, because the mod database does not answer"
            return "failed"
        try:
            details, releases = await self._fetch(mod)
        except UpstreamUnknownMod:
            return "unknown"
        except UpstreamError as error:
            self.outages_in_a_row = self.outages_in_a_row + 1 if error.is_transient else 0
            self.failures[mod.name] = str(error)
            log.warning("mod_details_failed", mod=mod.name, error=str(error))
            return "failed"
        self.outages_in_a_row = 0
        await sync_to_async(mod.store_details)(details, releases, now())
        return "fetched"

    async def _fetch(self, mod: CatalogMod) -> tuple[ModDetails, list[Release]]:
        rejected = RejectedItems()
        fetched = await self.upstream.get_json(f"api/mod/{mod.pk}", MOD_BYTES)
        parsed = await asyncio.to_thread(parse_mod, fetched.url, fetched.data, rejected)
        rejected.log_summary(fetched.url)
        return parsed


def _assess(data_dir: Path, server_dir: Path, *, list_known: bool) -> None:
    InstalledMod.objects.assess(installed_version(server_dir, data_dir))
    if list_known:
        InstalledMod.objects.mark_unlisted_as_checked(now())
