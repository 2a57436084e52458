"""The settings of production, with one more app: the job functions that are measured, and an empty view to compare with."""

from vsadmin.settings import *  # noqa: F403  these are the settings that are measured
from vsadmin.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.benchmarks"]
ROOT_URLCONF = "tests.benchmarks.urls"
