from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "health"

    def ready(self) -> None:
        """Register the system checks."""
        from health import checks  # noqa: F401 -- Django registers checks once the settings are read
