from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from health.registry import register_block


class GameConfig(AppConfig):
    name = "vsadmin.game"
    label = "game"
    verbose_name = _("Vintage Story")

    def ready(self) -> None:
        # Models can be imported only after all apps are loaded.
        from vsadmin.game.health import FALLBACK, health_block

        register_block("game", health_block, fallback=FALLBACK)
