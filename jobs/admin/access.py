"""Permission checks and the author of a change, from a request."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from jobs.models import Author


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the user has `jobs.<permission>`."""
    return request.user.has_perm(f"jobs.{permission}")


def require(request: HttpRequest, permission: str) -> None:
    """Answer 403 unless the user has `jobs.<permission>`."""
    if not may(request, permission):
        raise PermissionDenied


def author_of(request: HttpRequest) -> Author:
    return Author.of_user(request.user, "admin")
