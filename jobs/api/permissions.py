"""The permission that an API operation needs, declared beside the operation.

The project that mounts the router enforces it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Operation = TypeVar("Operation", bound=Callable[..., Any])

MONITOR = "monitor"
"""The permission that every caller has."""


def needs(permission: str) -> Callable[[Operation], Operation]:
    """Declare the permission of the operation below, such as `jobs.view_jobdefinition`, or MONITOR."""

    def declare(operation: Operation) -> Operation:
        operation.permission = permission  # type: ignore[attr-defined]  # ours, on ninja's function
        return operation

    return declare


def permission_of(operation: Callable[..., Any]) -> str | None:
    """The permission that `needs` declared, or None."""
    permission: str | None = getattr(operation, "permission", None)
    return permission
