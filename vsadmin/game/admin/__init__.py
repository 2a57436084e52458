"""The game's admin pages; all of them are read-only."""

from django.contrib import admin

from vsadmin.game.admin.catalog import CatalogModAdmin
from vsadmin.game.admin.feed_state import FeedStateAdmin
from vsadmin.game.admin.installed import InstalledModAdmin
from vsadmin.game.admin.server import ServerStatusAdmin, ServerStatusChangeAdmin
from vsadmin.game.admin.version import GameVersionAdmin, VersionEventAdmin
from vsadmin.game.models import CatalogMod, FeedState, GameVersion, InstalledMod, ServerStatus, ServerStatusChange, VersionEvent

admin.site.register(CatalogMod, CatalogModAdmin)
admin.site.register(FeedState, FeedStateAdmin)
admin.site.register(GameVersion, GameVersionAdmin)
admin.site.register(InstalledMod, InstalledModAdmin)
admin.site.register(ServerStatus, ServerStatusAdmin)
admin.site.register(ServerStatusChange, ServerStatusChangeAdmin)
admin.site.register(VersionEvent, VersionEventAdmin)
