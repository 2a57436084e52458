"""A scheduler that is started before its database."""

from __future__ import annotations

import socket

import pytest

from tests.support.cluster import Cluster
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.postgresql


def refuse_connections(port: int, count: int) -> None:
    """Stand in for the server until `count` clients have tried to connect, and hang up on each."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(30)
        for _ in range(count):
            server.accept()[0].close()


def test_a_scheduler_that_starts_before_its_database_waits_for_it(own_schedulers: Schedulers, cluster: Cluster) -> None:
    own_schedulers.job("patient")
    cluster.stop()
    process = own_schedulers.start(wait=False)
    wait_until(lambda: own_schedulers.site.events(process, "scheduler_tick_failed"), 30, "no tick failed without a database")
    refuse_connections(cluster.port, 3)
    assert process.poll() is None, own_schedulers.site.output(process)
    cluster.start()
    own_schedulers.reconnect()
    own_schedulers.wait_for_runs("patient", 2, "succeeded")
    assert len(own_schedulers.site.events(process, "scheduler_tick_failed")) == 1
