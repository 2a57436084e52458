from django.apps import AppConfig


class SampleConfig(AppConfig):
    """Job functions that only tests know, among them those that do everything a job function should not."""

    name = "tests.support.sample"
