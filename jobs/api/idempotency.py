"""Answers to requests with an Idempotency-Key: the first one is kept, and given again to a repeated request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Header

from jobs.api.envelope import Answer, rendered
from jobs.api.inputs import Strict
from jobs.models import IdempotencyKey
from jobs.models.idempotency import KeyedRequest

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="Within 24 hours a repeated request with the same key gets the first answer again, with `Idempotency-Replayed: true`, and does nothing.",
    ),
]
REPLAYED = "Idempotency-Replayed"


def answer_once(request: HttpRequest, key: str | None, operation: str, target: str, body: Strict, act: Callable[[], Answer[Any]]) -> HttpResponse:
    """What `act` returns, or what the same request of this caller got before."""

    def render() -> str:
        return rendered(act())

    if key is None:
        return _response(render())
    caller: Any = request.auth  # type: ignore[attr-defined]  # set by ninja
    keyed = KeyedRequest(caller.identity, caller.author.name, key, operation, target, body.model_dump(mode="json", exclude_unset=True))
    answer, is_replayed = IdempotencyKey.objects.answer_once(keyed, render)
    response = _response(answer)
    if is_replayed:
        response[REPLAYED] = "true"
    return response


def _response(answer: str) -> HttpResponse:
    return HttpResponse(answer, content_type="application/json; charset=utf-8")
