"""The API: parsing, authentication and rendering.  The operations are in the apps' own `api` modules."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Router
from ninja.errors import AuthenticationError, HttpError, ValidationErrorContext
from ninja.errors import ValidationError as RequestInvalid
from ninja.operation import Operation
from ninja.parser import Parser
from ninja.renderers import JSONRenderer

from jobs.api.permissions import MONITOR, permission_of
from jobs.api.routes import router as jobs_router
from vsadmin import __version__
from vsadmin.api import problems
from vsadmin.api.auth import guards
from vsadmin.api.exceptions import BodyTooLarge, MalformedBody, Unauthorized, UnknownParameters
from vsadmin.api.openapi import EXTRA, SERVERS, Schema
from vsadmin.game.api import router as game_router
from vsadmin.models import ADMINISTRATORS

KINDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number with a fraction",
    "bool": "true or false",
    "NoneType": "null",
    "dict": "an object",
    "list": "an array",
}


class StrictParser(Parser):
    """Standard JSON only: NaN and Infinity, which Python's parser accepts, are refused."""

    def parse_body(self, request: HttpRequest) -> Any:
        return json.loads(request.body, parse_constant=self._refuse)

    @staticmethod
    def _refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")


class ValidJSONRenderer(JSONRenderer):
    """Sends NaN and Infinity, which a hand-edited row may hold, as strings: a response is always valid JSON."""

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> str:
        try:
            return json.dumps(data, cls=self.encoder_class, allow_nan=False)
        except ValueError:
            spelled_out = json.loads(json.dumps(data, cls=self.encoder_class), parse_constant=str)
            return json.dumps(spelled_out)


class API(NinjaAPI):
    """NinjaAPI with our errors and our OpenAPI document."""

    def set_default_exception_handlers(self) -> None:
        self.add_exception_handler(Exception, lambda request, error: problems.of_exception(request, cast("Exception", error)))
        self.add_exception_handler(AuthenticationError, lambda request, _error: problems.of_exception(request, Unauthorized("no key")))
        self.add_exception_handler(HttpError, self._http_error)

    @staticmethod
    def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
        # ninja itself raises HttpError only for a body that the parser could not read.
        return problems.of_exception(request, MalformedBody(_reason(error.__cause__)))

    def validation_error_from_error_contexts(self, error_contexts: list[ValidationErrorContext[Any]]) -> RequestInvalid:
        return RequestInvalid([_field_error(context, error) for context in error_contexts for error in context.pydantic_validation_error.errors(include_url=False)])

    def get_openapi_schema(self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None) -> Schema:
        return Schema(self, path_prefix or self.get_root_path(path_params or {}))

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__


def _reason(error: BaseException | None) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]


def _field_error(context: ValidationErrorContext[Any], error: Any) -> dict[str, Any]:
    model: Any = context.model
    path = model.__ninja_flatten_map_reverse__.get(error["loc"], error["loc"])
    # The location of an error in a body begins with the name of our parameter, which no client wrote.
    names = path[1:] if model.__ninja_param_source__ == "body" else path
    kind = "nothing" if error["type"] == "missing" else KINDS.get(type(error["input"]).__name__, type(error["input"]).__name__)
    return {"field": ".".join(map(str, names)), "kind": kind, "problem": error["msg"].removeprefix("Value error, ").replace("Input should be", "expected")}


def refuse_unknown_parameters(view: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an operation so that a misspelt query parameter is refused instead of ignored."""
    operation: Any = getattr(view, "_ninja_operation")  # noqa: B009 -- ninja sets it on every operation; mypy does not know
    known = {name for model in operation.models if model.__ninja_param_source__ == "query" for name in model.__ninja_flatten_map__}

    def check(request: HttpRequest) -> None:
        if unknown := request.GET.keys() - known:
            raise UnknownParameters(unknown, known)

    @functools.wraps(view)
    def checked(request: HttpRequest, **arguments: Any) -> Any:
        check(request)
        return view(request, **arguments)

    @functools.wraps(view)
    async def checked_async(request: HttpRequest, **arguments: Any) -> Any:
        check(request)
        return await view(request, **arguments)

    return checked_async if inspect.iscoroutinefunction(view) else checked


def guard(router: Router) -> Router:
    """Attach authentication to every operation of the router.

    An operation without a declared permission is open to all callers if it only reads, else to administrators.
    """
    for path_view in router.path_operations.values():
        for operation in path_view.operations:
            undeclared = MONITOR if set(operation.methods) <= {"GET"} else ADMINISTRATORS
            operation.auth_param = operation.auth_callbacks = guards(permission_of(operation.view_func) or undeclared)
    return router


def refuse_large_body(request: HttpRequest) -> None:
    """Raise BodyTooLarge when Content-Length is above the limit."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isascii() and length.isdecimal() and int(length.lstrip("0")[:19] or "0") > limit:
        raise BodyTooLarge(limit)


api = API(
    title="vsadmin",
    version=__version__,
    description="Read and drive the job registry and the game server's versions, mods and status.",
    urls_namespace="api",
    servers=SERVERS,
    openapi_extra=EXTRA,
    parser=StrictParser(),
    renderer=ValidJSONRenderer(),
)
api.add_decorator(refuse_unknown_parameters)
api.add_router("", guard(jobs_router), tags=["jobs"])
api.add_router("", guard(game_router), tags=["game"])
