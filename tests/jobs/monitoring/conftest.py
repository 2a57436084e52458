from __future__ import annotations

from tests.support.api import admin, api_keys

__all__ = ["admin", "api_keys"]
