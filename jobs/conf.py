"""The app's settings, and their defaults.  Each is read when it is used, never at import."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings


def environment() -> str:
    """`JOBS_ENVIRONMENT`: a scheduler fires nothing from a database that belongs to another environment."""
    return getattr(settings, "JOBS_ENVIRONMENT", "default")


def threads() -> int:
    """`JOBS_THREADS`: how many runs of sync functions one scheduler has in progress at a time."""
    return getattr(settings, "JOBS_THREADS", 10)


MAX_WORKERS = 256


def workers() -> int:
    """`JOBS_WORKERS`: how many processes execute the job functions of one scheduler; 0 runs them in the scheduler's own."""
    return getattr(settings, "JOBS_WORKERS", min(os.cpu_count() or 1, 4))


def worker_max_runs() -> int:
    """`JOBS_WORKER_MAX_RUNS`: a worker process is replaced after this number of runs; 0 means never."""
    return getattr(settings, "JOBS_WORKER_MAX_RUNS", 1_000_000)


def worker_max_megabytes() -> int:
    """`JOBS_WORKER_MAX_MEGABYTES`: a worker process that uses more memory than this is replaced when its runs have ended; 0 means never."""
    return getattr(settings, "JOBS_WORKER_MAX_MEGABYTES", 1024)


def version() -> str:
    """`JOBS_VERSION`: the project's version, which metrics and the list of schedulers show."""
    return getattr(settings, "JOBS_VERSION", "")


def metrics_guard() -> str:
    """`JOBS_METRICS_GUARD`: dotted path of a function that is given a request's headers and address, and returns 200, 401 or 429."""
    return getattr(settings, "JOBS_METRICS_GUARD", "")


def working_directory() -> Path:
    """`JOBS_WORKING_DIRECTORY`: where processes that execute runs start; the project must be importable from there."""
    return Path(getattr(settings, "JOBS_WORKING_DIRECTORY", "") or Path.cwd())
