from __future__ import annotations

from tests.support.sample.fixtures import cluster, fleet, migrated_cluster, own_fleet, sample_functions

__all__ = ["cluster", "fleet", "migrated_cluster", "own_fleet", "sample_functions"]
