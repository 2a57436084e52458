"""Refusals of the web side; each carries the status and the stable code that its answer has."""

from __future__ import annotations

from collections.abc import Iterable


class Refusal(Exception):
    """Base: the request gets an answer with this status and code."""

    code = "BAD_REQUEST"
    status = 400

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


class Unauthorized(Refusal):
    """Nobody known is asking.  One message for all reasons; which of them it was is for the log alone."""

    code = "UNAUTHORIZED"
    status = 401

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("a valid key is needed, in the header X-API-Key or as Authorization: Bearer; or log in as staff")


class Forbidden(Refusal):
    """Whoever asks is known, and may not."""

    code = "FORBIDDEN"
    status = 403


class CsrfFailed(Forbidden):
    """A session asked for a change without proof that its page did."""

    code = "CSRF_FAILED"

    def __init__(self) -> None:
        super().__init__("a session needs the header X-CSRFToken with the value of the cookie csrftoken for every change; a key needs none")


class BodyTooLarge(Refusal):
    """More was sent than is read."""

    code = "BODY_TOO_LARGE"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")


class MalformedBody(Refusal):
    """The body is no JSON."""

    code = "MALFORMED_BODY"
    status = 400

    def __init__(self, problem: str) -> None:
        super().__init__(f"the body is no JSON that can be read: {problem}")


class TooManyRequests(Refusal):
    """One caller asks more often than is good for the others."""

    code = "TOO_MANY_REQUESTS"
    status = 429

    def __init__(self, wait_seconds: int) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(f"too many requests; the next one is welcome in {wait_seconds} s")


class UnknownParameters(Refusal):
    """The query names something that the operation does not take."""

    code = "VALIDATION_ERROR"
    status = 422

    def __init__(self, names: Iterable[str], known: Iterable[str]) -> None:
        self.names = sorted(names)
        allowed = ", ".join(sorted(known)) or "none"
        self.allowed = allowed
        super().__init__(f"unknown query parameter {', '.join(self.names)[:200]}; known are: {allowed}")


class KeyNotFound(Refusal):
    """No API key has this id or prefix."""

    code = "KEY_NOT_FOUND"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"no API key has the prefix {name!r}")
