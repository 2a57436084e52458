from __future__ import annotations

from tests.support.databases import migrated_cluster, remote_site

__all__ = ["migrated_cluster", "remote_site"]
