"""Fixtures of the tests that start schedulers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.registry import all_functions, unregister
from tests.support.cluster import Cluster
from tests.support.processes import Site
from tests.support.sample.schedulers import Schedulers


@pytest.fixture
def sample_functions() -> Iterator[None]:
    """This process knows the sample functions as well, for as long as one test takes; other tests list what is registered."""
    for name in ("jobs", "misdeeds", "leaks"):
        importlib.reload(importlib.import_module(f"tests.support.sample.{name}"))
    yield
    for function in all_functions():
        if function.name.startswith("sample_"):
            unregister(function.name)


@pytest.fixture
def schedulers(site: Site, sample_functions: None) -> Schedulers:
    return Schedulers(site)


@pytest.fixture
def own_schedulers(cluster: Cluster, tmp_path: Path, sample_functions: None) -> Iterator[Schedulers]:
    """Schedulers on the private PostgreSQL."""
    site = Site(tmp_path)
    try:
        yield Schedulers(site)
    finally:
        site.close()
