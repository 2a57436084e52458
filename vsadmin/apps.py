from django.apps import AppConfig


class VsadminConfig(AppConfig):
    name = "vsadmin"
    label = "vsadmin"
    verbose_name = "vsadmin"

    def ready(self) -> None:
        from vsadmin import checks  # noqa: F401  registers the system checks
        from vsadmin.user_names import reserve_names

        reserve_names()
