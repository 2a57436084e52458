"""The headers of an operation's successful responses, declared beside the operation for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Operation = TypeVar("Operation", bound=Callable[..., Any])


def sends(*names: str) -> Callable[[Operation], Operation]:
    """Declare the headers that the successful responses of the operation below have, such as `Location`."""

    def declare(operation: Operation) -> Operation:
        operation.response_headers = names  # type: ignore[attr-defined]  # ours, on ninja's function
        return operation

    return declare


def headers_of(operation: Callable[..., Any]) -> tuple[str, ...]:
    """The headers that `sends` declared."""
    names: tuple[str, ...] = getattr(operation, "response_headers", ())
    return names
