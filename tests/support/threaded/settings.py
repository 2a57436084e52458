"""The settings of the sample project, with an app whose import starts a thread."""

from __future__ import annotations

from tests.support.sample.settings import *  # noqa: F403 -- all of them, and an app more
from tests.support.sample.settings import INSTALLED_APPS as SAMPLE_APPS

INSTALLED_APPS = [*SAMPLE_APPS, "tests.support.threaded"]
