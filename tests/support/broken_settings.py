"""The site with one page more, which fails."""

from __future__ import annotations

from vsadmin.settings import *  # noqa: F403 -- all of them, but one

ROOT_URLCONF = "tests.support.broken_urls"
