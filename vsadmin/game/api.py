"""The game's API operations; they read the tables and never contact upstream."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from vsadmin.game.models import Feed, FeedState, GameVersion, InstalledMod, ServerStatus
from vsadmin.game.schemas import Mods, ModsQuery, OneVersion, Server, VersionOut, Versions, VersionsQuery

router = Router(tags=["game"])


@router.get("/versions", response=Versions, summary="List the available game versions")
def list_versions(request: HttpRequest, query: Query[VersionsQuery]) -> Any:
    """The highest first, each with its server build."""
    found = GameVersion.objects.current().prefetch_related("files")
    if query.channel:
        found = found.in_channel(query.channel)
    versions = [VersionOut.of(version) for version in found]
    return {"data": {"versions": versions, "total": len(versions), "cached_at": FeedState.objects.cached_at()}}


@router.get("/versions/{version}", response=OneVersion, summary="Get a game version")
def get_version(request: HttpRequest, version: str) -> Any:
    """Also one that was withdrawn."""
    return {"data": {"version": VersionOut.of(GameVersion.objects.find(version))}}


@router.get("/mods", response=Mods, summary="List the installed mods")
def list_mods(request: HttpRequest, query: Query[ModsQuery]) -> Any:
    """Those with an available update first."""
    found = InstalledMod.objects.search(query.search).in_order()
    if query.updates_only:
        found = found.with_updates()
    total, end = found.count(), query.offset + query.limit
    return {
        "data": {
            "mods": list(found[query.offset : end]),
            "total": total,
            "next": _next_page(request, end) if end < total else None,
            "cached_at": FeedState.objects.cached_at()[Feed.MODS],
        }
    }


def _next_page(request: HttpRequest, offset: int) -> str:
    parameters = request.GET.copy()
    parameters["offset"] = str(offset)
    return request.build_absolute_uri(f"{request.path}?{parameters.urlencode()}")


@router.get("/server/status", response=Server, summary="Get the status of the game server")
def get_server_status(request: HttpRequest) -> Any:
    """As it was observed at `checked_at`."""
    return {"data": ServerStatus.objects.summary()}
