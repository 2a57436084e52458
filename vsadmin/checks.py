"""System checks of this installation."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from vsadmin.private_files import open_to_others


@checks.register("security")
def check_private_files(**_options: Any) -> list[checks.CheckMessage]:
    """Settings tighten what they may; a file of another user needs its owner."""
    if settings.DATABASE_FILE is None:
        return []
    return [
        checks.Warning(f"{path} can be read or written by other users of this machine", hint=f"as its owner: chmod 600 {path}", id="vsadmin.W001")
        for path in open_to_others(settings.DATABASE_FILE)
    ]
