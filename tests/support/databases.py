"""Fixtures of the tests that need a private PostgreSQL server; a conftest imports them by name."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from tests.support.cluster import Cluster, find_binaries
from tests.support.processes import REPOSITORY, Site


@pytest.fixture(scope="session")
def migrated_cluster() -> Iterator[Cluster]:
    """A private PostgreSQL with a database `migrated`, the template of others."""
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


def create_database(cluster: Cluster, options: str = "") -> str:
    """A fresh copy of `migrated`; its name."""
    name = f"own_{uuid.uuid4().hex[:8]}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE migrated {options}")
    return name


@contextmanager
def database_on(cluster: Cluster, options: str = "") -> Iterator[str]:
    """A fresh database that this process and the processes it starts use instead of the shared one; its name."""
    name = create_database(cluster, options)
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
    """The private PostgreSQL, with a fresh database that replaces the test's."""
    try:
        with database_on(migrated_cluster):
            yield migrated_cluster
    finally:
        migrated_cluster.restore()


@pytest.fixture
def remote_site(site: Site, migrated_cluster: Cluster) -> Iterator[Site]:
    """A site on the private PostgreSQL; this process keeps the database of the test."""
    site.env["VS_DATABASE_URL"] = migrated_cluster.url(create_database(migrated_cluster))
    try:
        yield site
    finally:
        migrated_cluster.restore()
