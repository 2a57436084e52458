from __future__ import annotations

from tests.support.api import admin, anonymous, api_keys

__all__ = ["admin", "anonymous", "api_keys"]
