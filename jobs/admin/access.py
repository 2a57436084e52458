"""Who may do what: every check of the admin goes through here, on the server."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from jobs.models import Author


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the person has `jobs.<permission>`."""
    return request.user.has_perm(f"jobs.{permission}")


def demand(request: HttpRequest, permission: str) -> None:
    """Answer 403 unless the person has `jobs.<permission>`."""
    if not may(request, permission):
        raise PermissionDenied


def person(request: HttpRequest) -> Author:
    """Whoever is logged in, as the author of what follows."""
    return Author.of_user(request.user, "admin")
