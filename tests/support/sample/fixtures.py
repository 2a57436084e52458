"""Fixtures of the tests that start schedulers."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from jobs.registry import all_functions, unregister
from tests.support.cluster import Cluster, find_binaries
from tests.support.processes import REPOSITORY, Site
from tests.support.sample.fleet import Fleet


@pytest.fixture
def sample_functions() -> Iterator[None]:
    """This process knows the sample functions as well, for as long as one test takes; other tests list what is registered."""
    importlib.reload(importlib.import_module("tests.support.sample.jobs"))
    yield
    for function in all_functions():
        if function.name.startswith("sample_"):
            unregister(function.name)


@pytest.fixture
def fleet(site: Site, sample_functions: None) -> Fleet:
    return Fleet(site)


@pytest.fixture(scope="session")
def migrated_cluster() -> Iterator[Cluster]:
    """A private PostgreSQL with a database `migrated` that others are copied from."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no initdb on this machine (Debian: apt install postgresql)")
    cluster = Cluster(binaries)
    try:
        cluster.start()
        cluster.execute("CREATE DATABASE migrated")
        env = os.environ | {"VS_DATABASE_URL": cluster.url("migrated"), "DJANGO_SETTINGS_MODULE": "tests.support.sample.settings"}
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True, cwd=REPOSITORY, env=env)
        yield cluster
    finally:
        cluster.remove()


@contextmanager
def database_on(cluster: Cluster, options: str = "") -> Iterator[str]:
    """A fresh database that this process and those that it starts use instead of the shared one; its name."""
    name = f"own_{uuid.uuid4().hex[:8]}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE migrated {options}")
    shared = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict |= {"HOST": "127.0.0.1", "PORT": str(cluster.port), "USER": "tests", "PASSWORD": "", "NAME": name}
    try:
        yield name
    finally:
        connection.close()
        connection.settings_dict |= shared
        connection.close()


@pytest.fixture
def cluster(transactional_db: None, migrated_cluster: Cluster) -> Iterator[Cluster]:
    """The private PostgreSQL, with a database of the test's own."""
    with database_on(migrated_cluster):
        yield migrated_cluster


@pytest.fixture
def own_fleet(cluster: Cluster, tmp_path: Path, sample_functions: None) -> Iterator[Fleet]:
    """A fleet on the private PostgreSQL."""
    site = Site(tmp_path)
    try:
        yield Fleet(site)
    finally:
        site.close()
