"""The settings of production, with the sample app: what processes that tests start are given."""

from __future__ import annotations

from vsadmin.settings import *  # noqa: F403 -- all of them, and an app more
from vsadmin.settings import INSTALLED_APPS as PRODUCTION_APPS

INSTALLED_APPS = [*PRODUCTION_APPS, "tests.support.sample"]
