"""The OpenAPI document: ninja's, with the error responses, headers and descriptions that ninja leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation

from jobs.api.envelope import Problem
from jobs.api.headers import headers_of
from vsadmin.api.auth import SAFE_METHODS

PROBLEM = {"$ref": "#/components/schemas/Problem"}
DESCRIPTIONS = {
    400: "The request or its body cannot be parsed.",
    401: "No valid key and no session.",
    403: "The caller has no permission, or its session sent no CSRF token.",
    404: "Not found.",
    409: "The request conflicts with the current state.",
    412: "No tag of `If-Match` is the current one; `revision` is the job's current revision.",
    413: "The body is larger than 1 MiB.",
    422: "A field or parameter is invalid; `errors` lists each.",
    429: "Too many requests; wait for the seconds in `Retry-After`.",
    500: "Unexpected error; the log has it under `X-Request-ID`.",
    503: "The database cannot be reached; wait for the seconds in `Retry-After`.",
}
CODES = {
    400: "MALFORMED_BODY",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    412: "REVISION_MISMATCH",
    413: "BODY_TOO_LARGE",
    422: "VALIDATION_ERROR",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_ERROR",
    503: "DATABASE_UNAVAILABLE",
}
SECONDS = {"type": "integer", "minimum": 1}
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {"description": "The id of the request in the log.", "schema": {"type": "string"}},
    "ETag": {
        "description": "Changes with the body, for `If-None-Match`. That of a job begins with its revision, for `If-Match`.",
        "schema": {"type": "string"},
    },
    "Location": {"description": "The address of what was created.", "schema": {"type": "string", "format": "uri"}},
    "Idempotency-Replayed": {"description": "`true`: the same request was answered before, and nothing was done now.", "schema": {"const": "true"}},
    "Retry-After": {"description": "Seconds to wait before the request is repeated.", "schema": SECONDS},
}
SENT_WITH = {409: "Retry-After", 412: "ETag", 429: "Retry-After", 503: "Retry-After"}
"""The header of an error response, beside the id of the request."""

CSRF_TOKEN = {
    "type": "apiKey",
    "in": "header",
    "name": "X-CSRFToken",
    "description": "The value of the CSRF cookie: with a session, every change needs it.",
}
EXTRA = {
    "info": {"license": {"name": "MIT", "identifier": "MIT"}},
    "tags": [
        {"name": "jobs", "description": "Jobs, their runs, and the schedulers that run them."},
        {"name": "game", "description": "The game server: versions, installed mods and status, as the included jobs have found them."},
    ],
}
SERVERS = [{"url": "/", "description": "The server that this document comes from."}]
REFERENCE = re.compile(r"^#/components/(\w+)/(.+)$")


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *names)}


def _problem_response(status: int) -> dict[str, Any]:
    code = CODES[status]
    title = code.replace("_", " ").capitalize()
    example = {"type": f"urn:vsadmin:problem:{code.lower().replace('_', '-')}", "title": title, "status": status, "detail": DESCRIPTIONS[status], "code": code}
    headers = _headers(SENT_WITH[status]) if status in SENT_WITH else _headers()
    return {"description": DESCRIPTIONS[status], "headers": headers, "content": {"application/problem+json": {"schema": PROBLEM, "example": example}}}


def _possible(operation: Operation) -> set[int]:
    """The error statuses that any operation with these inputs can respond with."""
    sources = {model.__ninja_param_source__ for model in operation.models}
    possible = {400, 401, 403, 422, 429, 500, 503}
    if "path" in sources:
        possible.add(404)
    if sources & {"body"}:
        possible.add(413)
    return possible


def _references(part: Any) -> Iterator[tuple[str, str]]:
    """The components that a part of the document refers to, by kind and name."""
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _references(value)
    if isinstance(part, dict) and isinstance(part.get("$ref"), str) and (match := REFERENCE.match(part["$ref"])):
        yield match[1], match[2]


class Schema(OpenAPISchema):
    """Ninja's document with every error response, and the headers of all responses."""

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        details: dict[str, Any] = super().operation_details(operation)
        declared = {status for status in details["responses"] if isinstance(status, int) and status >= 400}
        for status in sorted(declared | _possible(operation)):
            details["responses"][status] = {"$ref": f"#/components/responses/{CODES[status]}"}
        for status in details["responses"].keys() - CODES.keys():
            details["responses"][status]["headers"] = _headers(*(["ETag"] if "GET" in operation.methods else []), *headers_of(operation.view_func))
        if not set(operation.methods) <= SAFE_METHODS:
            details["security"] = [needed | ({"CsrfToken": []} if "StaffSession" in needed else {}) for needed in details["security"]]
        return details

    def operation_parameters(self, operation: Operation) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().operation_parameters(operation)
        for parameter in parameters:  # those of a parameter are objects by name, those of its schema a list
            if examples := parameter.pop("examples", None):
                parameter["example"] = examples[0]
        return parameters

    def get_paths(self) -> dict[str, Any]:
        self.paths: dict[str, Any] = super().get_paths()
        return self.paths

    def get_components(self) -> dict[str, Any]:
        definition = Problem.model_json_schema(ref_template=REF_TEMPLATE)
        self.add_schema_definitions({**definition.pop("$defs"), "Problem": definition})
        components: dict[str, Any] = super().get_components()
        components["responses"] = {code: _problem_response(status) for status, code in CODES.items()}
        components["headers"] = HEADERS
        components["securitySchemes"]["CsrfToken"] = CSRF_TOKEN
        return self._used(components)

    def _used(self, components: dict[str, Any]) -> dict[str, Any]:
        """The components that the paths need, directly or by another one."""
        used: set[tuple[str, str]] = set()
        waiting = set(_references(self.paths))
        while waiting:
            used |= waiting
            waiting = {reference for kind, name in waiting for reference in _references(components[kind][name])} - used
        return {kind: {name: part for name, part in parts.items() if kind == "securitySchemes" or (kind, name) in used} for kind, parts in components.items()}
