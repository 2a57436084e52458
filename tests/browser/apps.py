from django.apps import AppConfig


class BrowserTestsConfig(AppConfig):
    """Job functions that a person in a browser can watch."""

    name = "tests.browser"
    label = "browser_tests"
