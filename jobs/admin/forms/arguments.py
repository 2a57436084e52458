"""A job function's arguments as form fields, made from its signature."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.exceptions import UnknownFunction
from jobs.registry import get_function

PREFIX = "arg_"
JSON_FIELD = "kwargs"
REQUIRED = inspect.Parameter.empty


def argument_fields(function_name: str, kwargs: Any) -> dict[str, forms.Field]:
    """One field for each parameter of the function, or a single JSON field where a form would not do.

    A form does not do when the function is not registered, takes `*args` or `**kwargs`, or when `kwargs`
    holds names that it does not take: those would be lost silently.
    """
    try:
        parameters = _parameters(function_name)
    except UnknownFunction:
        return {JSON_FIELD: _json_kwargs_field()}
    named = all(parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY} for parameter in parameters)
    if not named or not isinstance(kwargs, dict) or not kwargs.keys() <= {parameter.name for parameter in parameters}:
        return {JSON_FIELD: _json_kwargs_field()}
    return {PREFIX + parameter.name: _field(parameter) for parameter in parameters}


def shared_argument_fields(function_names: Sequence[str]) -> dict[str, forms.Field]:
    """Fields for arguments that several jobs are to get at once, none of them needed: each job has its own.

    One field for each parameter where all functions have the same signature, else a single JSON field.
    """
    own = _("Empty: as each job has it.")
    if not _same_signature(function_names):
        field: forms.Field = _json_kwargs_field()
        field.help_text = format_lazy("{} {}", field.help_text, own)
        return {JSON_FIELD: field}
    fields = argument_fields(function_names[0], {})
    for field in fields.values():
        field.required, field.help_text = False, own
        if isinstance(field, forms.TypedChoiceField):
            field.choices = [("", _("as each job has it")), *cast("list[Any]", field.choices)[1:]]
    return fields


def _same_signature(function_names: Sequence[str]) -> bool:
    try:
        first, *others = [get_function(name).signature for name in dict.fromkeys(function_names)]
    except UnknownFunction:
        return False
    return all(other == first for other in others)


def kwargs_of(cleaned_data: dict[str, Any], fields: dict[str, forms.Field]) -> Any:
    """The arguments that the form's `cleaned_data` asks for; one left empty takes the function's own default."""
    if JSON_FIELD in fields:
        return cleaned_data.get(JSON_FIELD) or {}
    values = {name.removeprefix(PREFIX): cleaned_data[name] for name in fields if name.startswith(PREFIX) and name in cleaned_data}
    return {name: value for name, value in values.items() if value is not None and value != ""}


def initial_of(kwargs: Any, fields: dict[str, forms.Field]) -> dict[str, Any]:
    """What the fields show for `kwargs`; the inverse of `kwargs_of`."""
    if JSON_FIELD in fields:
        return {JSON_FIELD: kwargs}
    return {name: kwargs.get(name.removeprefix(PREFIX)) for name in fields}


def _parameters(function_name: str) -> list[inspect.Parameter]:
    entry = get_function(function_name)
    try:
        hints = typing.get_type_hints(entry.function)
    except (NameError, TypeError):
        hints = {}
    return [parameter.replace(annotation=hints.get(parameter.name, Any)) for parameter in entry.signature.parameters.values()]


def _json_kwargs_field() -> forms.JSONField:
    return forms.JSONField(
        label=gettext_lazy("Arguments"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "vs-code", "spellcheck": "false"}),
        help_text=gettext_lazy('A JSON object of names and values, such as {"limit": 10}.'),
    )


def _field(parameter: inspect.Parameter) -> forms.Field:
    kind, optional = _without_none(parameter.annotation)
    required = parameter.default is REQUIRED and not optional and kind is not bool
    field = _field_of_kind(kind, required=required)
    field.label = parameter.name
    field.help_text = _help_text(parameter, kind)
    return field


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) in {Union, UnionType}:
        others = [kind for kind in typing.get_args(annotation) if kind is not NoneType]
        if len(others) < len(typing.get_args(annotation)):
            return (others[0] if len(others) == 1 else Any), True
    return annotation, False


def _field_of_kind(kind: Any, *, required: bool) -> forms.Field:
    if kind is bool:
        choices = [("", _("as the function has it")), ("True", _("yes")), ("False", _("no"))]
        return forms.TypedChoiceField(choices=choices, required=required, empty_value=None, coerce=lambda value: value == "True")
    if kind is int:
        return forms.IntegerField(required=required)
    if kind is float:
        return forms.FloatField(required=required)
    if kind is str:
        return forms.CharField(required=required)
    if choices_of_kind := _choices(kind):
        return forms.TypedChoiceField(choices=choices_of_kind, required=required, empty_value=None, coerce=_coerce_to(kind))
    return forms.JSONField(required=required, widget=forms.Textarea(attrs={"rows": 2, "class": "vs-code", "spellcheck": "false"}))


def _choices(kind: Any) -> list[tuple[Any, str]]:
    values: list[Any] = []
    if typing.get_origin(kind) is Literal:
        values = list(typing.get_args(kind))
    elif isinstance(kind, type) and issubclass(kind, Enum):
        values = [member.value for member in kind]
    return [("", _("as the function has it")), *((value, str(value)) for value in values)] if values else []


def _coerce_to(kind: Any) -> Any:
    by_text = {str(value): value for value, _label in _choices(kind)}
    return lambda text: by_text[str(text)]


def _help_text(parameter: inspect.Parameter, kind: Any) -> str:
    name = kind.__name__ if isinstance(kind, type) else "" if kind is Any else str(kind).replace("typing.", "")
    if parameter.default is REQUIRED:
        return _("%(type)s, needed") % {"type": name} if name else _("needed")
    default = json.dumps(parameter.default, default=str)
    return _("%(type)s, %(default)s when left empty") % {"type": name, "default": default} if name else _("%(default)s when left empty") % {"default": default}
