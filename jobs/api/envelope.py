"""What all responses of the API have in common: the envelope of a success, and the problem of an error."""

from __future__ import annotations

import json
from typing import Any, Generic, Literal, TypeVar

from ninja import Schema
from ninja.responses import NinjaJSONEncoder
from pydantic import ConfigDict, Field, WithJsonSchema

Data = TypeVar("Data")


def one_of(*values: str) -> WithJsonSchema:
    """An enum in the document that is not checked, so that a damaged row is shown too."""
    return WithJsonSchema({"type": "string", "enum": list(values)})


class Answer(Schema, Generic[Data]):
    """The envelope of every successful response."""

    status: Literal["ok"] = "ok"
    data: Data


def rendered(answer: Answer[Any]) -> str:
    """The body of a successful response."""
    return json.dumps(answer.model_dump(), cls=NinjaJSONEncoder)


class FieldProblem(Schema):
    field: str
    kind: str | None = Field(None, description="The type of the given value.")
    problem: str
    allowed: str | None = None


class Problem(Schema):
    """The body of every error response: RFC 9457 with a stable `code`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None
    errors: list[FieldProblem] | None = Field(None, description="With VALIDATION_ERROR: each invalid field or parameter.")
    revision: int | None = Field(None, description="With REVISION_MISMATCH: the current revision.")
