from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from jobs.models import Cause, JobDefinition, Status, Trigger
from tests.support.api import Caller, data
from tests.support.rows import make_job
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
    session: dict[str, list[str]] = {"StaffSession": []} if name.startswith("GET ") else {"StaffSession": [], "CsrfToken": []}
    assert operation["security"] == [{"HeaderKey": []}, {"BearerKey": []}, session]
    assert operation["summary"]
    assert operation["description"]


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _name, operation in operations()]
    assert len(ids) == len(set(ids))


def schema_of(name: str) -> Any:
    return document()["components"]["schemas"][name]


@pytest.mark.django_db
def test_a_generated_client_that_sends_all_defaults_changes_what_it_was_told(admin: Caller) -> None:
    kept: dict[str, Any] = {"trigger": "cron", "cron": "30 2 * * *", "interval_seconds": 0, "timezone": "Europe/Vienna", "enabled": False, "max_retries": 5}
    before = make_job(**kept)
    defaults = {name: field["default"] for name, field in schema_of("JobChange")["properties"].items() if "default" in field}
    data(admin.patch("/jobs/backup", defaults | {"title": "Renamed"}))
    after = JobDefinition.objects.get()
    assert after.title == "Renamed"
    assert {field.name for field in before._meta.concrete_fields if getattr(before, field.name) != getattr(after, field.name)} == {"title", "revision", "updated_at"}


def test_a_change_requires_and_presumes_nothing() -> None:
    schema = schema_of("JobChange")
    assert "required" not in schema
    nullable = {name for name, field in schema["properties"].items() if {"type": "null"} in field.get("anyOf", [])}
    assert nullable == {"run_at", "starts_at", "ends_at", "misfire_grace_seconds", "timeout_seconds", "keep_runs", "keep_days"}
    assert not any("efault" in json.dumps(field) for field in schema["properties"].values())


def test_a_new_job_requires_what_has_no_default_and_says_what_the_defaults_are() -> None:
    schema = schema_of("JobCreate")
    assert sorted(schema["required"]) == ["function", "id"]
    assert schema["properties"]["timezone"]["description"] == 'An IANA time zone. Default: "UTC".'


@pytest.mark.parametrize("name", ["JobCreate", "JobChange", "Preview", "Pause", "RunRequest"])
def test_no_body_has_defaults_that_a_generated_client_would_send_or_demand(name: str) -> None:
    assert [field for field, schema in schema_of(name)["properties"].items() if "default" in schema] == []


def test_every_operation_that_changes_what_exists_takes_a_precondition() -> None:
    without = {name for name, operation in operations() if not any(parameter["name"] == "If-Match" for parameter in operation["parameters"])}
    changing = {name for name in without if not name.startswith("GET ")}
    assert changing == {"POST /api/v1alpha1/jobs", "POST /api/v1alpha1/jobs/preview"}


def test_every_component_is_used() -> None:
    text = json.dumps(document())
    parts = [(kind, name) for kind, components in document()["components"].items() if kind != "securitySchemes" for name in components]
    assert [part for part in parts if f'"#/components/{part[0]}/{part[1]}"' not in text] == []


def test_the_document_says_where_it_holds_and_under_which_licence() -> None:
    assert document()["servers"] == [{"url": "/", "description": "The server that this document comes from."}]
    assert document()["info"]["license"] == {"name": "MIT", "identifier": "MIT"}
    described = {tag["name"] for tag in document()["tags"] if tag["description"]}
    assert {tag for _name, operation in operations() for tag in operation["tags"]} == described


HEADERS = {
    ("POST", "/jobs", "201"): {"ETag", "Location", "Idempotency-Replayed"},
    ("POST", "/jobs/{job_id}/run", "202"): {"Location", "Idempotency-Replayed"},
    ("GET", "/jobs/{job_id}", "200"): {"ETag"},
    ("PATCH", "/jobs/{job_id}", "200"): {"ETag"},
}


@pytest.mark.parametrize("response", HEADERS, ids=" ".join)
def test_the_headers_of_a_response_are_documented(response: tuple[str, str, str]) -> None:
    method, path, status = response
    headers = document()["paths"][f"/api/v1alpha1{path}"][method.lower()]["responses"][status]["headers"]
    assert headers.keys() == HEADERS[response] | {"X-Request-ID"}


@pytest.mark.parametrize("code", ["CONFLICT", "TOO_MANY_REQUESTS", "DATABASE_UNAVAILABLE"])
def test_the_time_to_wait_is_documented(code: str) -> None:
    assert "Retry-After" in document()["components"]["responses"][code]["headers"]


ENUMS = {
    "JobOut": {"trigger": Trigger.values, "executor": ["local", "process"], "origin": ["code", "staff"]},
    "RunOut": {"status": Status.values, "cause": Cause.values},
    "LastRun": {"status": Status.values},
}


@pytest.mark.parametrize("name", ENUMS)
def test_closed_sets_of_values_are_enums_in_answers_too(name: str) -> None:
    assert {field: schema_of(name)["properties"][field]["enum"] for field in ENUMS[name]} == ENUMS[name]


@pytest.mark.django_db
def test_what_is_written_has_the_same_name_when_it_is_read(admin: Caller) -> None:
    written, read = (set(schema_of(name)["properties"]) for name in ("JobCreate", "JobOut"))
    assert written <= read
    assert [name for name, field in schema_of("JobOut")["properties"].items() if field.get("deprecated")] == ["trigger_type", "trigger_details"]
    make_job(trigger="cron", cron="@daily")
    assert data(admin.get("/jobs/backup"))["job"]["trigger"] == "cron"
