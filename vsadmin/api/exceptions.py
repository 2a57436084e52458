"""Refusals of the web server, each with the status and the stable code of its response."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings


class Refusal(Exception):
    """Base: the response has this status and code."""

    code = "BAD_REQUEST"
    status = 400

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


class Unauthorized(Refusal):
    """The caller is unknown.  The message is the same for every reason; the reason itself goes only to the log."""

    code = "UNAUTHORIZED"
    status = 401

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("send a valid API key in the header X-API-Key or as Authorization: Bearer, or log in as staff")


class Forbidden(Refusal):
    """The caller is known, but lacks the permission."""

    code = "FORBIDDEN"
    status = 403


class CsrfFailed(Forbidden):
    """A session sent a change without its CSRF token."""

    code = "CSRF_FAILED"

    def __init__(self) -> None:
        super().__init__(
            f"with a session, send the value of the cookie {settings.CSRF_COOKIE_NAME} in the header X-CSRFToken for every change; an API key needs no token"
        )


class BodyTooLarge(Refusal):
    code = "BODY_TOO_LARGE"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")


class MalformedBody(Refusal):
    code = "MALFORMED_BODY"
    status = 400

    def __init__(self, problem: str) -> None:
        super().__init__(f"the body is not valid JSON: {problem}")


class TooManyRequests(Refusal):
    """The caller is above the rate limit."""

    code = "TOO_MANY_REQUESTS"
    status = 429

    def __init__(self, wait_seconds: int) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(f"too many requests; try again in {wait_seconds} s")


class UnknownParameters(Refusal):
    code = "VALIDATION_ERROR"
    status = 422

    def __init__(self, names: Iterable[str], known: Iterable[str]) -> None:
        self.names = sorted(names)
        allowed = ", ".join(sorted(known)) or "none"
        self.allowed = allowed
        super().__init__(f"unknown query parameter {', '.join(self.names)[:200]}; allowed: {allowed}")


class KeyNotFound(Refusal):
    code = "KEY_NOT_FOUND"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"no API key has the prefix {name!r}")
