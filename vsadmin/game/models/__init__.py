"""The game's tables: upstream data, installed mods, and the server's status."""

from vsadmin.game.models.catalog import CatalogMod, ModRelease
from vsadmin.game.models.feed_state import Feed, FeedState
from vsadmin.game.models.installed import Compatibility, InstalledMod
from vsadmin.game.models.server import ServerStatus, ServerStatusChange
from vsadmin.game.models.version import Channel, GameVersion, Platform, ServerFile, VersionEvent

__all__ = [
    "CatalogMod",
    "Channel",
    "Compatibility",
    "Feed",
    "FeedState",
    "GameVersion",
    "InstalledMod",
    "ModRelease",
    "Platform",
    "ServerFile",
    "ServerStatus",
    "ServerStatusChange",
    "VersionEvent",
]
