"""All operations of the API: a project mounts `router`."""

from jobs.api import job_routes, run_routes
from jobs.api.router import router

__all__ = ["job_routes", "router", "run_routes"]
