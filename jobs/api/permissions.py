"""What an API operation needs of its caller, declared where the operation is written.

Whoever mounts the router enforces it; an operation that declares nothing is for administrators alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Operation = TypeVar("Operation", bound=Callable[..., Any])

MONITOR = "monitor"
"""Reading what every caller may read."""


def needs(permission: str) -> Callable[[Operation], Operation]:
    """Declare the permission of the operation below, such as `jobs.view_jobdefinition`, or MONITOR."""

    def declare(operation: Operation) -> Operation:
        operation.permission = permission  # type: ignore[attr-defined]  # ours, on ninja's function
        return operation

    return declare


def permission_of(operation: Callable[..., Any]) -> str | None:
    """What `needs` declared, or None."""
    permission: str | None = getattr(operation, "permission", None)
    return permission
