"""Settings of the demo site: the project's, with the demo's job functions."""

from __future__ import annotations

from vsadmin.settings import *  # noqa: F403 -- a variant of the settings
from vsadmin.settings import INSTALLED_APPS as PRODUCTION_APPS

INSTALLED_APPS = [*PRODUCTION_APPS, "tests.browser"]
