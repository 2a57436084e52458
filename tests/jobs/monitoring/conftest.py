from __future__ import annotations

from tests.support.api import api_keys
from tests.support.databases import cluster, migrated_cluster, remote_site

__all__ = ["api_keys", "cluster", "migrated_cluster", "remote_site"]
