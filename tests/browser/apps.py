from django.apps import AppConfig


class BrowserTestsConfig(AppConfig):
    """Job functions of the demo site."""

    name = "tests.browser"
    label = "browser_tests"
