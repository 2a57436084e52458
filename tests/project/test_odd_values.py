"""No odd value in an address makes a page or a route answer 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLResolver, get_resolver

from jobs.models import JobRun
from tests.support.api import ADMIN_KEY, ROOT
from tests.support.processes import REPOSITORY
from tests.support.rows import make_job

pytestmark = pytest.mark.django_db

ODD = {
    "superscript": "²",
    "arabic-digit": "٣",
    "negative": "-1",
    "fraction": "1.5",
    "exponent": "1e400",
    "too-large-for-the-database": "9" * 19,
    "400-digits": "9" * 400,
    "5000-digits": "9" * 5000,
    "nul": "\x00",
    "nul-inside": "a\x00b",
    "half-a-surrogate-pair": "\udc80",
    "last-moment": "9999-12-31T23:59:59Z",
    "first-moment": "0001-01-01T00:00:00Z",
    "24-o-clock": "2026-01-01T24:00:00",
    "quote": "' OR 1=1 --",
    "backslash": "\\",
    "object": "{}",
    "lookup": "id__in",
    "spaces": "   ",
    "route": "preview",
    "path": "../..",
}
KNOWN_PARAMETERS = ["p", "q", "o", "e", "all", "_facets", "_popup", "_to_field", "_changelist_filters", "next", "on", "log_from", "after", "action"]


@pytest.fixture
def staff(client: Client) -> Client:
    client.raise_request_exception = False
    client.force_login(User.objects.create_superuser("mira", "mira@example.org", "secret"))
    return client


@pytest.fixture(autouse=True)
def _rows() -> None:
    definition = make_job("odd", function="game_server_watch", interval_seconds=60)
    JobRun.objects.request(definition.pk, "mira")


def encoded(value: str) -> str:
    return quote(value.encode(errors="surrogateescape"), safe="")


def patterns(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each page's address with its converters, such as `/admin/jobs/jobrun/{object_id}/change/`."""
    for entry in resolver.url_patterns:
        converters = entry.pattern.converters
        text = str(entry.pattern)
        for name, converter in converters.items():
            kind = next(key for key in (f"<{_name_of(converter)}:{name}>", f"<{name}>") if key in text)
            text = text.replace(kind, "{" + name + "}")
        if isinstance(entry, URLResolver):
            yield from patterns(entry, prefix + text)
        elif "(?P" not in text and "^" not in text:
            yield prefix + text, converters


def _name_of(converter: Any) -> str:
    return {"IntConverter": "int", "StringConverter": "str", "PathConverter": "path", "SlugConverter": "slug", "UUIDConverter": "uuid"}[type(converter).__name__]


PAGES = [page for page in patterns(get_resolver()) if page[0].startswith("/admin/") and not page[0].startswith(("/admin/logout", "/admin/jsi18n"))]


def test_the_pages_are_found() -> None:
    found = [address for address, _converters in PAGES]
    assert "/admin/jobs/jobdefinition/{object_id}/change/" in found
    assert len(found) > 3 * len(admin.site._registry)


def list_parameters(address: str) -> list[str]:
    """The parameters of a list, beside KNOWN_PARAMETERS: its filters, and lookups on its fields."""
    for model, model_admin in admin.site._registry.items():
        if address == f"/admin/{model._meta.app_label}/{model._meta.model_name}/":
            fields = [field.name for field in model._meta.concrete_fields]
            filters = [getattr(entry, "parameter_name", None) or str(entry) for entry in model_admin.list_filter if not isinstance(entry, tuple)]
            return [*fields, *[f"{name}__gte" for name in fields], *[f"{name}__isnull" for name in fields], *filters]
    return []


@pytest.mark.parametrize("kind", ODD)
def test_pages_of_the_admin(staff: Client, kind: str) -> None:
    failed = []
    for address, converters in PAGES:
        path = address.format(**dict.fromkeys(converters, encoded(ODD[kind])))
        if staff.get(path).status_code >= 500:
            failed.append(path[:200])
    assert not failed


@pytest.mark.parametrize(("number", "step"), [(0, 5), *[pytest.param(number, 1, marks=pytest.mark.chaos) for number in range(len(ODD))]])
def test_parameters_of_the_admin(staff: Client, number: int, step: int) -> None:
    """Every `step`th parameter of all pages with one of the values; with all numbers, each with each of them."""
    failed, values = [], list(ODD.values())
    for address, converters in PAGES:
        path = address.format(**dict.fromkeys(converters, "1" if "jobrun" in address else "odd"))
        for name in [*KNOWN_PARAMETERS, *list_parameters(address)]:
            number += 1
            if number % step:
                continue
            url = f"{path}?{name}={encoded(values[number // step % len(values)])}"
            if staff.get(url).status_code >= 500:
                failed.append(url[:200])
    assert not failed


@pytest.mark.parametrize("kind", ODD)
def test_routes_of_the_api(client: Client, settings: Any, kind: str) -> None:
    settings.API_KEY_ADMIN, settings.API_REQUESTS_PER_MINUTE = ADMIN_KEY, 1_000_000
    client.raise_request_exception = False
    document = json.loads((REPOSITORY / "docs" / "openapi.json").read_text())
    failed = []
    for path, operations in document["paths"].items():
        operation = operations.get("get")
        if operation is None:
            continue
        names = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
        inside = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        addresses = [path.format(**dict.fromkeys(inside, encoded(ODD[kind])))]
        addresses += [path.format(**dict.fromkeys(inside, "1" if "runs" in path else "odd")) + f"?{name}={encoded(ODD[kind])}" for name in names]
        for address in addresses:
            url = address if address.startswith(ROOT) else ROOT + address
            if client.get(url, headers={"X-API-Key": ADMIN_KEY}).status_code >= 500:
                failed.append(url[:200])
    assert not failed
