"""A scheduler that is started before its database."""

from __future__ import annotations

import pytest

from tests.support.cluster import Cluster
from tests.support.sample.fleet import Fleet, pause_for
from tests.support.waiting import wait_until

pytestmark = pytest.mark.postgresql


def test_a_scheduler_that_starts_before_its_database_waits_for_it(own_fleet: Fleet, cluster: Cluster) -> None:
    own_fleet.job("patient")
    cluster.stop()
    process = own_fleet.start(wait=False)
    wait_until(lambda: own_fleet.site.events(process, "scheduler_tick_failed"), 30, "it never missed its database")
    pause_for(2)
    assert process.poll() is None, own_fleet.site.output(process)
    cluster.start()
    own_fleet.reconnect()
    own_fleet.wait_for_runs("patient", 2, "succeeded")
    assert len(own_fleet.site.events(process, "scheduler_tick_failed")) == 1
