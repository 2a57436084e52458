from __future__ import annotations

from tests.support.databases import cluster, migrated_cluster
from tests.support.sample.fixtures import fleet, own_fleet, sample_functions

__all__ = ["cluster", "fleet", "migrated_cluster", "own_fleet", "sample_functions"]
