"""Authentication and authorisation: API keys, staff sessions, roles.

A key in the header decides, valid or not; a session counts only in a request without a key.
Refusals come in the order 401, 403, and only then those that would reveal what exists.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.timezone import now
from ninja.security import APIKeyCookie, APIKeyHeader, HttpBearer
from ninja.utils import check_csrf

from jobs.api.permissions import MONITOR
from jobs.models import Author
from vsadmin.api.exceptions import CsrfFailed, Forbidden, TooManyRequests, Unauthorized
from vsadmin.api.rate_limit import rate_limit
from vsadmin.http.client_address import client_address
from vsadmin.models import ApiKey, Role
from vsadmin.outage import handle_outage

log = structlog.get_logger()

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: a key with its role, or a user with their permissions."""

    name: str
    role: str
    author: Author
    identity: str
    """Of no other caller, also when keys have the same name or a user is renamed."""
    user: Any = None

    def may(self, permission: str) -> bool:
        """Whether this caller has a permission; every caller has `MONITOR` except users who are not staff."""
        if self.user is None:
            return self.role == Role.ADMIN or permission == MONITOR
        return bool(self.user.is_staff and (permission == MONITOR or self.user.has_perm(permission)))

    @classmethod
    def of_key(cls, name: str, role: str, identity: str = "") -> Caller:
        return cls(name=name, role=role, author=Author(name=name, source="api"), identity=f"key:{identity or name}")

    @classmethod
    def of_user(cls, user: Any) -> Caller:
        return cls(name=user.get_username(), role="staff" if user.is_staff else "user", author=Author.of_user(user, "api"), identity=f"user:{user.pk}", user=user)


def _environment_key(key: str) -> Caller | None:
    """The caller of a key from the environment; all comparisons run in constant time, also after a match."""
    given = key.encode(errors="surrogatepass")
    known = ((settings.API_KEY_ADMIN, Role.ADMIN), (settings.API_KEY_MONITOR, Role.MONITOR))
    found = [role for value, role in known if hmac.compare_digest(value.encode(), given) and value]
    return Caller.of_key(f"VS_API_KEY_{found[0].upper()}", found[0]) if found else None


def caller_of_key(key: str) -> Caller:
    """The caller that a key belongs to; raises Unauthorized."""
    if caller := _environment_key(key):
        return caller
    row, at = ApiKey.objects.matching(key), now()
    if row is None:
        raise Unauthorized("unknown key")
    if problem := row.problem(at):
        raise Unauthorized(f"{problem} key")
    try:
        row.note_use(at)
    except DatabaseError as error:  # one that is locked or read-only must not refuse a caller that only reads
        if not handle_outage(error):
            raise
        log.warning("api_key_use_not_noted", prefix=row.prefix, problem=str(error)[:200])
    return Caller.of_key(f"key {row.name}", row.role, row.prefix)


def caller_of_session(request: HttpRequest) -> Caller:
    """The logged-in user; raises Unauthorized, or CsrfFailed for a change without a token."""
    if not request.user.is_authenticated:
        raise Unauthorized("no key")
    if request.method not in SAFE_METHODS and check_csrf(request) is not None:
        raise CsrfFailed
    return Caller.of_user(request.user)


def _given_key(headers: Mapping[str, str]) -> str:
    bearer = headers.get("Authorization", "")
    scheme, _, token = bearer.partition(" ")
    return headers.get("X-API-Key", "") or (token.strip() if scheme.lower() == "bearer" else "")


def identify(request: HttpRequest) -> Caller:
    """The caller of a request; raises Unauthorized, CsrfFailed or TooManyRequests.

    The request is counted against its address before anything is checked, and given back when it is admitted:
    after too many failures not even the right key is looked at.
    """
    key = _given_key(request.headers)
    with _attempt(client_address(request), request.path[:200], str(request.method)):
        caller = caller_of_key(key) if key else caller_of_session(request)
    _count(caller.name)
    return caller


@contextmanager
def _attempt(peer: str, path: str, method: str) -> Iterator[None]:
    """Counts what is checked inside against the address, unless it succeeds, and logs a failure."""
    _count(f"peer {peer}")
    try:
        yield
    except Unauthorized as error:
        log.warning("auth_failed", reason=error.reason, path=path, method=method, peer=peer)
        raise
    rate_limit.give_back(f"peer {peer}")


def _count(caller: str) -> None:
    if wait := rate_limit.take(caller):
        raise TooManyRequests(wait)


def admit(request: HttpRequest, permission: str) -> Caller:
    """The caller, if it has the permission; raises Forbidden and what `identify` raises."""
    caller = identify(request)
    if not caller.may(permission):
        raise Forbidden(f"{caller.name} is not a staff user" if permission == MONITOR else f"{caller.name} lacks the permission {permission}")
    return caller


def metrics_status(headers: Mapping[str, str], peer: str) -> int:
    """The status for a request to the scheduler's probe server, which has no sessions: 200, 401 or 429.

    Attempts count as those at the web server do: among too many failures the right key is not looked at either.
    """
    try:
        with _attempt(peer, "/metrics", "GET"):
            caller = caller_of_key(_given_key(headers))
        _count(caller.name)
    except Unauthorized:
        return 401
    except TooManyRequests:
        return 429
    return 200


class HeaderKey(APIKeyHeader):
    """`X-API-Key`.  This guard admits callers of all three kinds; the other two only declare their kinds in the OpenAPI document."""

    param_name = "X-API-Key"

    def __init__(self, permission: str) -> None:
        self.permission = permission
        super().__init__()

    def __call__(self, request: HttpRequest) -> Caller:
        return admit(request, self.permission)

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller:
        return self(request)


class BearerKey(HttpBearer):
    """`Authorization: Bearer`."""

    def authenticate(self, request: HttpRequest, token: str) -> None:
        return None


class StaffSession(APIKeyCookie):
    """The session of a staff user, with `X-CSRFToken` for every change."""

    param_name = settings.SESSION_COOKIE_NAME

    def authenticate(self, request: HttpRequest, key: str | None) -> None:
        return None


def guards(permission: str) -> list[Any]:
    """The authentication of an operation that needs `permission`."""
    return [HeaderKey(permission), BearerKey(), StaffSession(csrf=False)]
