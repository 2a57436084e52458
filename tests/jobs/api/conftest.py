from __future__ import annotations

from tests.support.api import admin, api_keys, copy_world

__all__ = ["admin", "api_keys", "copy_world"]
