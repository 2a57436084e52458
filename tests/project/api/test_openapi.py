from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from vsadmin.api.api import api

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


def document() -> Any:
    return json.loads(DOCUMENT.read_text())


def operations() -> list[tuple[str, dict[str, Any]]]:
    paths = document()["paths"]
    return [(f"{method.upper()} {path}", operation) for path, methods in paths.items() for method, operation in methods.items()]


def test_the_committed_document_is_what_the_code_says() -> None:
    said = StringIO()
    call_command("export_openapi", stdout=said)
    assert said.getvalue() == DOCUMENT.read_text(), "run `manage.py export_openapi > docs/openapi.json`"


def test_every_route_is_documented() -> None:
    routes = {
        f"{method} /api/v1alpha1/{path.strip('/')}".replace("//", "/")
        for router in api._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }
    assert routes == {name for name, _operation in operations()}


@pytest.mark.parametrize(("name", "operation"), operations(), ids=[name for name, _operation in operations()])
def test_every_operation_declares_its_errors_and_who_may_ask(name: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    assert {"400", "401", "403", "422", "429", "500", "503"} <= responses.keys()
    assert ("404" in responses) == ("{" in name)
    assert ("413" in responses) == ("requestBody" in operation)
    for status, response in responses.items():
        if int(status) >= 400:
            shared = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
            assert shared["content"]["application/problem+json"]["example"]["status"] == int(status)
        else:
            assert list(response["content"]) == ["application/json"]
    assert [scheme for requirement in operation["security"] for scheme in requirement] == ["HeaderKey", "BearerKey", "StaffSession"]
    assert operation["summary"]


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _name, operation in operations()]
    assert len(ids) == len(set(ids))
