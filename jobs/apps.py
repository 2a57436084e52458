from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from jobs import left_open


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = _("Jobs")

    def ready(self) -> None:
        """Import the `jobs` module of every installed app, so that each `@job` is registered, and the system checks."""
        with left_open.noting_imports():
            autodiscover_modules("jobs")
        from jobs import checks  # noqa: F401 -- it imports the models, which are there only now
