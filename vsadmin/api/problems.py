"""Every error as one shape: RFC 9457 `application/problem+json` with a stable `code`."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja.errors import ValidationError as RequestInvalid

from jobs import exceptions as jobs_errors
from vsadmin.api.exceptions import TooManyRequests, Unauthorized, UnknownParameters
from vsadmin.outage import RETRY_SECONDS, handle_outage

log = structlog.get_logger()

CODES: dict[type[Exception], tuple[int, str]] = {
    jobs_errors.JobNotFound: (404, "JOB_NOT_FOUND"),
    jobs_errors.RunNotFound: (404, "RUN_NOT_FOUND"),
    jobs_errors.JobExists: (409, "JOB_EXISTS"),
    jobs_errors.JobArchived: (409, "JOB_ARCHIVED"),
    jobs_errors.RunFinished: (409, "RUN_FINISHED"),
    jobs_errors.RevisionMismatch: (412, "REVISION_MISMATCH"),
    jobs_errors.RunChanged: (412, "RUN_CHANGED"),
    jobs_errors.UnknownFunction: (422, "UNKNOWN_FUNCTION"),
    jobs_errors.IdempotencyKeyReused: (422, "IDEMPOTENCY_KEY_REUSED"),
    jobs_errors.IdempotencyKeyInUse: (409, "IDEMPOTENCY_KEY_IN_USE"),
}
BY_STATUS = {
    400: ("BAD_REQUEST", "the request cannot be parsed"),
    403: ("FORBIDDEN", "this is not allowed"),
    404: ("NOT_FOUND", "no such route; /api/v1alpha1/docs lists all routes"),
    405: ("METHOD_NOT_ALLOWED", "the route does not support this method; the header Allow lists those it supports"),
    500: ("INTERNAL_ERROR", "unexpected error; the log has it under the request id"),
}


def problem(request: HttpRequest, status: int, code: str, detail: str, **members: Any) -> HttpResponse:
    """A problem response; `members` are extension members (RFC 9457, 3.2)."""
    body = {
        "type": f"urn:vsadmin:problem:{code.lower().replace('_', '-')}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": request.path,
        "code": code,
    }
    response = JsonResponse(body | members, status=status, content_type="application/problem+json")
    response["Cache-Control"] = "no-store"
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def of_status(request: HttpRequest, status: int) -> HttpResponse:
    """The problem for a response of which only the status is known."""
    code, detail = BY_STATUS.get(status, (f"HTTP_{status}", "the request was refused"))
    return problem(request, status, code, detail)


def of_exception(request: HttpRequest, error: Exception) -> HttpResponse:
    """The problem for any exception of an operation; the message of an unexpected one goes to the log, not to the client."""
    if isinstance(error, RequestInvalid):
        return _invalid(request, error.errors)
    if isinstance(error, ValidationError):
        return _invalid(request, list(_field_errors(error)))
    if isinstance(error, UnknownParameters):
        return _invalid(request, [{"field": name, "problem": "unknown query parameter", "allowed": error.allowed} for name in error.names], error.detail)
    status, code = _status_and_code(error)
    if status == 500:
        log.error("api_operation_failed", exc_info=error, method=request.method, path=request.path)
        return of_status(request, 500)
    return _specific(request, error, status, code)


def _status_and_code(error: Exception) -> tuple[int, str]:
    if handle_outage(error):
        return 503, "DATABASE_UNAVAILABLE"
    for kind in type(error).__mro__:
        if kind in CODES:
            return CODES[kind]
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    return (status, code) if isinstance(status, int) and isinstance(code, str) else (500, "INTERNAL_ERROR")


def _specific(request: HttpRequest, error: Exception, status: int, code: str) -> HttpResponse:
    match error:
        case jobs_errors.RevisionMismatch():
            response = problem(request, status, code, str(error), revision=error.current)
            response["ETag"] = f'"{error.current}"'
        case jobs_errors.IdempotencyKeyInUse():
            response = problem(request, status, code, str(error))
            response["Retry-After"] = str(error.RETRY_SECONDS)
        case TooManyRequests():
            response = problem(request, status, code, str(error))
            response["Retry-After"] = str(error.wait_seconds)
        case DatabaseError() | InterfaceError():
            log.warning("api_database_unavailable", problem=str(error)[:200])
            response = problem(request, status, code, "the database cannot be reached; try again later")
            response["Retry-After"] = str(RETRY_SECONDS)
        case Unauthorized():
            response = problem(request, status, code, error.detail)
        case _:
            response = problem(request, status, code, str(error))
    return response


def _invalid(request: HttpRequest, errors: list[dict[str, Any]], detail: str = "") -> HttpResponse:
    return problem(request, 422, "VALIDATION_ERROR", detail or "; ".join(_sentence(error) for error in errors)[:2000], errors=errors)


def _sentence(error: dict[str, Any]) -> str:
    got = f"got {error['kind']}; " if error.get("kind") else ""
    return f"{error['field'] or 'the request'}: {got}{error['problem']}"


def _field_errors(error: ValidationError) -> list[dict[str, Any]]:
    by_field = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    return [{"field": "" if field == NON_FIELD_ERRORS else field, "kind": None, "problem": message} for field, messages in by_field.items() for message in messages]
