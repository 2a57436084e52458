"""The game server's block of /healthz."""

from __future__ import annotations

from typing import Any

from vsadmin.game.models import ServerStatus
from vsadmin.game.models.server import NOT_OBSERVED


def health_block() -> dict[str, Any]:
    """What was last seen of the game server, in one query; before the first look it counts as not installed."""
    status = ServerStatus.objects.last_observed()
    return _block(status.as_dict if status else NOT_OBSERVED)


def _block(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        "game_server": seen["state"],
        "game_server_version": seen["version"],
        "game_server_uptime": seen["uptime_seconds"],
        "game_server_pending_restart": seen["pending_restart"],
        "disk_space": seen["disk_space"],
    }


FALLBACK = _block(NOT_OBSERVED)
"""The block when the database does not answer."""
