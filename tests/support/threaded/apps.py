from django.apps import AppConfig


class ThreadedConfig(AppConfig):
    """An app whose import starts a thread, which processes that are forked later do not have."""

    name = "tests.support.threaded"
