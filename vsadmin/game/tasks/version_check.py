"""The version check: fetches and stores the feeds of both channels, each independently of the other."""

from __future__ import annotations

from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.utils.timezone import now

from vsadmin.game.exceptions import AllSourcesFailed, UpstreamError, UpstreamUnexpected
from vsadmin.game.models import Channel, FeedState, GameVersion, VersionEvent
from vsadmin.game.tasks.progress import report_progress
from vsadmin.game.upstream.client import FEED_BYTES, FetchedJson, Upstream
from vsadmin.game.upstream.feed import FeedVersion, parse_feed
from vsadmin.game.upstream.rejections import RejectedItems

log = structlog.get_logger()


async def check_versions(upstream: Upstream) -> dict[str, Any]:
    """Refresh the versions of both channels; raises AllSourcesFailed when both failed."""
    results: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for done, channel in enumerate(Channel.values):
        report_progress(done, len(Channel.values), channel)
        try:
            results[channel] = await _check_channel(upstream, channel)
        except UpstreamError as error:
            failures[channel] = str(error)
            log.warning("versions_channel_failed", channel=channel, error=str(error))
            await sync_to_async(_fail)(channel, error)
    if not results:
        raise AllSourcesFailed(failures)
    return results | {"warnings": [f"{channel}: {reason}; its stored data is unchanged" for channel, reason in failures.items()]}


async def _check_channel(upstream: Upstream, channel: str) -> dict[str, Any]:
    state = await sync_to_async(FeedState.objects.of)(channel)
    path = f"{channel}.json"
    fetched = await upstream.get_json(path, FEED_BYTES, state.validators_for(upstream.url(path)))
    if fetched.is_unchanged:
        await sync_to_async(state.confirm)(now())
        return await sync_to_async(_summary)(channel, [], state.refused)
    rejected = RejectedItems()
    versions = parse_feed(fetched.url, fetched.data, rejected)
    rejected.log_summary(channel)
    return await sync_to_async(_store)(channel, upstream.url(path), fetched, versions, rejected)


def _store(channel: str, url: str, fetched: FetchedJson, versions: list[FeedVersion], rejected: RejectedItems) -> dict[str, Any]:
    if not versions and channel == Channel.STABLE:
        raise UpstreamUnexpected(url, "the feed is empty; a stable channel always has versions")
    fetched_at = now()
    events = GameVersion.objects.apply_feed(channel, versions, fetched_at)
    FeedState.objects.of(channel).succeed(fetched_at, url, fetched.validators, rejected.count)
    for event in events:
        log.info("game_version_appeared", version=event.version, channel=channel)
    if versions and any(version.is_flagged for version in versions) and not versions[0].is_flagged:
        log.info("latest_flag_lags", channel=channel, highest=versions[0].text)
    return _summary(channel, events, rejected.count)


def _summary(channel: str, events: list[VersionEvent], refused: int) -> dict[str, Any]:
    latest = GameVersion.objects.latest_in(channel)
    return {
        "versions": GameVersion.objects.current().in_channel(channel).count(),
        "latest": latest.version if latest else None,
        "new": [event.version for event in events],
        "refused": refused,
    }


def _fail(channel: str, error: UpstreamError) -> None:
    FeedState.objects.of(channel).fail(now(), error)
