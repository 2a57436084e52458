"""The game server's block in /healthz."""

from __future__ import annotations

from typing import Any

from vsadmin.game.models import ServerStatus
from vsadmin.game.models.server import NOT_OBSERVED


def health_block() -> dict[str, Any]:
    """The latest observation of the game server, in one query; `not_installed` before the first observation."""
    status = ServerStatus.objects.last_observed()
    return _block(status.as_dict if status else NOT_OBSERVED)


def _block(observed: dict[str, Any]) -> dict[str, Any]:
    return {
        "game_server": observed["state"],
        "game_server_version": observed["version"],
        "game_server_uptime": observed["uptime_seconds"],
        "game_server_pending_restart": observed["pending_restart"],
        "disk_space": observed["disk_space"],
    }


FALLBACK = _block(NOT_OBSERVED)
"""The block that /healthz shows when the database does not answer."""
