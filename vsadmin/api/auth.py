"""Who is asking, and may they?  Keys, staff sessions, roles.

A key in the header decides, good or bad; only without one does the session of a logged-in user count.
The order of refusals is always 401, 403, and only then anything that would tell what exists.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError
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

log = structlog.get_logger()

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody known: a key by its role, or a user by their permissions."""

    name: str
    role: str
    author: Author
    user: Any = None

    def may(self, permission: str) -> bool:
        """Whether this caller has a permission; `MONITOR` is what every caller has but users who are not staff."""
        if self.user is None:
            return self.role == Role.ADMIN or permission == MONITOR
        return bool(self.user.is_staff and (permission == MONITOR or self.user.has_perm(permission)))

    @classmethod
    def of_key(cls, name: str, role: str) -> Caller:
        return cls(name=name, role=role, author=Author(name=name, source="api"))

    @classmethod
    def of_user(cls, user: Any) -> Caller:
        return cls(name=user.get_username(), role="staff" if user.is_staff else "user", author=Author.of_user(user, "api"), user=user)


def _environment_key(key: str) -> Caller | None:
    """The caller of a key from the environment; every comparison is made and takes the same time."""
    given = key.encode(errors="surrogatepass")
    known = ((settings.API_KEY_ADMIN, Role.ADMIN), (settings.API_KEY_MONITOR, Role.MONITOR))
    found = [role for value, role in known if hmac.compare_digest(value.encode(), given) and value]
    return Caller.of_key(f"VS_API_KEY_{found[0].upper()}", found[0]) if found else None


def caller_of_key(key: str) -> Caller:
    """Whose key this is; raises Unauthorized."""
    if caller := _environment_key(key):
        return caller
    row, moment = ApiKey.objects.matching(key), now()
    if row is None:
        raise Unauthorized("unknown key")
    if problem := row.problem(moment):
        raise Unauthorized(f"{problem} key")
    try:
        row.note_use(moment)
    except OperationalError as error:  # a busy database is no reason to refuse a reader
        log.warning("api_key_use_not_noted", prefix=row.prefix, problem=str(error)[:200])
    return Caller.of_key(f"key {row.name}", row.role)


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
    """Who asks; raises Unauthorized, CsrfFailed or TooManyRequests."""
    peer = client_address(request)
    try:
        key = _given_key(request.headers)
        caller = caller_of_key(key) if key else caller_of_session(request)
    except Unauthorized as error:
        _count(f"peer {peer}")
        log.warning("auth_failed", reason=error.reason, path=request.path[:200], method=request.method, peer=peer)
        raise
    _count(caller.name)
    return caller


def _count(caller: str) -> None:
    if wait := rate_limit.take(caller):
        raise TooManyRequests(wait)


def admit(request: HttpRequest, permission: str) -> Caller:
    """Who asks, if they may; raises Forbidden and what `identify` raises."""
    caller = identify(request)
    if not caller.may(permission):
        raise Forbidden(f"{caller.name} may not do this; it needs {permission or 'a staff user or a key'}")
    return caller


def may_read_metrics(headers: Mapping[str, str]) -> bool:
    """Whether these headers carry a key; for the scheduler's own probe server, which has no requests and no sessions."""
    try:
        caller_of_key(_given_key(headers))
    except Unauthorized:
        return False
    return True


class HeaderKey(APIKeyHeader):
    """`X-API-Key`.  This one does all the work; the other two only tell OpenAPI that they work as well."""

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
    """What an operation that needs `permission` asks of its callers."""
    return [HeaderKey(permission), BearerKey(), StaffSession(csrf=False)]
