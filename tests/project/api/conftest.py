from __future__ import annotations

from tests.support.api import admin, anonymous, api_keys, monitor

__all__ = ["admin", "anonymous", "api_keys", "monitor"]
