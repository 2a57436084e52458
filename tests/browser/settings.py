"""The site that the browser sees: production's, with job functions to play with."""

from __future__ import annotations

from vsadmin.settings import *  # noqa: F403 -- that is what a variant of them is
from vsadmin.settings import INSTALLED_APPS as PRODUCTION_APPS

INSTALLED_APPS = [*PRODUCTION_APPS, "tests.browser"]
