"""The OpenAPI document: ninja's, with the error responses and headers that ninja leaves out."""

from __future__ import annotations

from typing import Any

from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation

from jobs.api.schemas import Problem

PROBLEM = {"$ref": "#/components/schemas/Problem"}
REQUEST_ID = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
DESCRIPTIONS = {
    400: "The request or its body cannot be parsed.",
    401: "No valid key and no session.",
    403: "The caller has no permission, or its session sent no CSRF token.",
    404: "Not found.",
    405: "The route does not support this method.",
    409: "The request conflicts with the current state.",
    412: "The job was changed in the meantime; `revision` is its current revision.",
    413: "The body is larger than 1 MiB.",
    422: "A field or parameter is invalid; `errors` lists each.",
    429: "Too many requests; wait for the seconds in `Retry-After`.",
    500: "Unexpected error; the log has it under `X-Request-ID`.",
    503: "The database cannot be reached.",
}
CODES = {
    400: "MALFORMED_BODY",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    412: "REVISION_MISMATCH",
    413: "BODY_TOO_LARGE",
    422: "VALIDATION_ERROR",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_ERROR",
    503: "DATABASE_UNAVAILABLE",
}


def _problem_response(status: int) -> dict[str, Any]:
    code = CODES[status]
    title = code.replace("_", " ").capitalize()
    example = {"type": f"urn:vsadmin:problem:{code.lower().replace('_', '-')}", "title": title, "status": status, "detail": DESCRIPTIONS[status], "code": code}
    headers: dict[str, Any] = dict(REQUEST_ID)
    if status == 429:
        headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
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


class Schema(OpenAPISchema):
    """Ninja's document with every error response, and the headers of all responses."""

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        details: dict[str, Any] = super().operation_details(operation)
        declared = {status for status in details["responses"] if isinstance(status, int) and status >= 400}
        for status in sorted(declared | _possible(operation)):
            details["responses"][status] = {"$ref": f"#/components/responses/{CODES[status]}"}
        for status in details["responses"].keys() - CODES.keys():
            details["responses"][status]["headers"] = dict(REQUEST_ID)
        return details

    def get_components(self) -> dict[str, Any]:
        definition = Problem.model_json_schema(ref_template=REF_TEMPLATE)
        self.add_schema_definitions({**definition.pop("$defs"), "Problem": definition})
        components: dict[str, Any] = super().get_components()
        components["responses"] = {code: _problem_response(status) for status, code in CODES.items()}
        components["headers"] = {"RequestId": {"description": "The id of the request in the log.", "schema": {"type": "string"}}}
        return components
