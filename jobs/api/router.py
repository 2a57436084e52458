"""The router that all operations belong to, and the types of their parameters."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from django.urls import reverse
from ninja import Path, Router

from jobs.models import Author

router = Router()

JobId = Annotated[str, Path(max_length=100, description="The id of a job.", examples=["mod_cache_refresh"])]
RunId = Annotated[int, Path(ge=1, le=9_223_372_036_854_775_807, description="The id of a run.")]


def author_of(request: HttpRequest) -> Author:
    """The author of what this request changes."""
    author: Author = request.auth.author  # type: ignore[attr-defined]  # set by ninja
    return author


def url_of(request: HttpRequest, name: str, **path: Any) -> str:
    """The address of another operation."""
    namespace = request.resolver_match.namespace if request.resolver_match else ""
    return request.build_absolute_uri(reverse(f"{namespace}:{name}", kwargs=path))


def next_url(request: HttpRequest, **changes: Any) -> str:
    """The address of this operation with other parameters."""
    parameters = request.GET.copy()
    for name, value in changes.items():
        parameters[name] = str(value)
    return request.build_absolute_uri(f"{request.path}?{parameters.urlencode()}")
