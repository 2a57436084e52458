"""Refresh the mod cache: what is installed, the whole list, and the details of what is installed."""

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
    """Refresh everything about mods; raises AllSourcesFailed when upstream gave nothing, after keeping what the folders gave."""
    report_progress(0, 1, "reading the mod folders")
    found, warnings = await sync_to_async(scan)(data_dir, server_dir)
    failures: dict[str, str] = {}
    listed = await _refresh_list(upstream, failures)
    details = await _refresh_details(upstream, failures, list_failed=Feed.MODS in failures)
    await sync_to_async(_assess)(data_dir, server_dir, list_known=Feed.MODS not in failures)
    if failures and not details["fetched"] and (Feed.MODS in failures or not details["fresh"]):
        raise AllSourcesFailed(_few(failures))
    updates = await sync_to_async(InstalledMod.objects.with_updates().count)()
    warnings += [f"{part}: {why}" for part, why in _few(failures).items()]
    return {**found, "list": listed, "details": details, "updates_available": updates, "warnings": warnings}


def _few(failures: dict[str, str]) -> dict[str, str]:
    """The first failures and how many more there are: two hundred lines of the same help nobody."""
    few = dict(list(failures.items())[:MAX_WARNINGS])
    return few | ({"more": f"{len(failures) - MAX_WARNINGS} further failures"} if len(failures) > MAX_WARNINGS else {})


def scan(data_dir: Path, server_dir: Path) -> tuple[dict[str, Any], list[str]]:
    """Read the mod folders into the table; returns the counts, and a warning for each folder that could not be read."""
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
        answer = await upstream.get_json(MOD_LIST, MOD_LIST_BYTES, state.validators_for(upstream.url(MOD_LIST)))
        if answer.is_unchanged:
            await sync_to_async(state.confirm)(now())
            return {"unchanged": True, "refused": state.refused}
        rejected = RejectedItems()
        mods = await asyncio.to_thread(parse_mod_list, answer.url, answer.data, rejected)
    except UpstreamError as error:
        failures[Feed.MODS] = str(error)
        log.warning("mod_list_failed", error=str(error))
        await sync_to_async(state.fail)(now(), error)
        return None
    rejected.log_summary(MOD_LIST)
    return await sync_to_async(_keep_list)(state, upstream.url(MOD_LIST), answer, mods, rejected)


def _keep_list(state: FeedState, url: str, answer: FetchedJson, mods: list[ListedMod], rejected: RejectedItems) -> dict[str, Any]:
    moment = now()
    counts = CatalogMod.objects.store(mods, moment)
    state.succeed(moment, url, answer.validators, rejected.count)
    log.info("mod_list_stored", mods=len(mods), refused=rejected.count, **counts)
    return {"mods": len(mods), "refused": rejected.count, **counts}


def _installed_pages() -> tuple[list[CatalogMod], int]:
    """The pages of installed mods whose details have to be fetched, and how many are fresh."""
    InstalledMod.objects.link_to_catalog()
    pages = CatalogMod.objects.current().filter(installed__isnull=False).distinct()
    stale = pages.stale(now())
    return stale, pages.count() - len(stale)


async def _refresh_details(upstream: Upstream, failures: dict[str, str], *, list_failed: bool) -> dict[str, int]:
    stale, fresh = await sync_to_async(_installed_pages)()
    # After a list that did not come, one more silence is enough to give up.
    details = DetailsRound(upstream, failures, total=len(stale), outages_in_a_row=MAX_CONCURRENT_REQUESTS - 1 if list_failed else 0)
    waiting = iter(stale)

    async def work() -> None:
        for mod in waiting:
            details.counts[await details.refresh(mod)] += 1

    # As many workers as requests go out at once, so that no more than that is in memory.
    async with asyncio.TaskGroup() as group:
        for _ in range(MAX_CONCURRENT_REQUESTS):
            group.create_task(work())
    report_progress(len(stale), len(stale) or 1, "comparing")
    return {**details.counts, "fresh": fresh}


@dataclass(slots=True)
class DetailsRound:
    """One round of asking for the details of installed mods."""

    upstream: Upstream
    failures: dict[str, str]
    total: int
    counts: dict[str, int] = field(default_factory=lambda: {"fetched": 0, "failed": 0, "unknown": 0})
    outages_in_a_row: int = 0

    async def refresh(self, mod: CatalogMod) -> str:
        """Fetch and keep one mod; returns what became of it and raises nothing, so that the others go on."""
        report_progress(sum(self.counts.values()), self.total, mod.name)
        if self.outages_in_a_row >= MAX_CONCURRENT_REQUESTS:
            # Two hundred mods at a deadline each would take hours to find out what is known already.
            self.failures[mod.name] = "not asked for, because the mod database does not answer"
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
        answer = await self.upstream.get_json(f"api/mod/{mod.pk}", MOD_BYTES)
        found = await asyncio.to_thread(parse_mod, answer.url, answer.data, rejected)
        rejected.log_summary(answer.url)
        return found


def _assess(data_dir: Path, server_dir: Path, *, list_known: bool) -> None:
    InstalledMod.objects.assess(installed_version(server_dir, data_dir))
    if list_known:
        InstalledMod.objects.mark_unlisted_as_checked(now())
