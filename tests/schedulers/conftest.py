from __future__ import annotations

from tests.support.databases import cluster, migrated_cluster
from tests.support.sample.fixtures import own_schedulers, sample_functions, schedulers

__all__ = ["cluster", "migrated_cluster", "own_schedulers", "sample_functions", "schedulers"]
