"""Requests for the health of a live site, each with a time limit."""

from __future__ import annotations

import time
from typing import Any

import httpx2

from tests.support.processes import Site, get

BUSY_MACHINE_SECONDS = 4.0
"""The processes may get the CPU so much later while other tests run.  A probe without a deadline of its own takes longer than that:
it waits for a hanging database until the test thaws it."""


def ask(site: Site, path: str, within: float = 1.0, **headers: str) -> httpx2.Response:
    """The response to one request; fails when it takes longer than `within` and the allowance for a busy machine."""
    started = time.monotonic()
    response = get(site.base_url + path, headers=headers, timeout=10)
    took = time.monotonic() - started
    assert took < within + BUSY_MACHINE_SECONDS, f"{path} took {took:.2f} s"
    return response


def health(site: Site) -> Any:
    """The data of `/healthz`, which is always 200."""
    response = ask(site, "/healthz")
    assert response.status_code == 200
    return response.json()["data"]


def scheduler(site: Site) -> Any:
    return health(site)["scheduler"]
