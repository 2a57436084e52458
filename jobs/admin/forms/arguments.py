"""Form fields for a job function's arguments, built from its signature."""

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
    """One field for each parameter of the function, or a single JSON field for all arguments.

    JSON is used when the function is not registered, when it takes `*args` or `**kwargs`, and when `kwargs`
    has a name that it does not accept, because a field for each parameter would drop that name silently.
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
    """Optional fields for arguments that several jobs get at once.

    One field for each parameter when all functions have the same signature, else a single JSON field.
    """
    own = _("Empty: keep each job's own value.")
    if not _same_signature(function_names):
        field: forms.Field = _json_kwargs_field()
        field.help_text = format_lazy("{} {}", field.help_text, own)
        return {JSON_FIELD: field}
    fields = argument_fields(function_names[0], {})
    for field in fields.values():
        field.required, field.help_text = False, own
        if isinstance(field, forms.TypedChoiceField):
            field.choices = [("", _("keep each job's own value")), *cast("list[Any]", field.choices)[1:]]
    return fields


def _same_signature(function_names: Sequence[str]) -> bool:
    try:
        first, *others = [get_function(name).signature for name in dict.fromkeys(function_names)]
    except UnknownFunction:
        return False
    return all(other == first for other in others)


def kwargs_of(cleaned_data: dict[str, Any], fields: dict[str, forms.Field]) -> Any:
    """The arguments in the form's `cleaned_data`.  An empty field is left out, so the function's default applies."""
    if JSON_FIELD in fields:
        return cleaned_data.get(JSON_FIELD) or {}
    values = {name.removeprefix(PREFIX): cleaned_data[name] for name in fields if name.startswith(PREFIX) and name in cleaned_data}
    return {name: value for name, value in values.items() if value is not None and value != ""}


def initial_of(kwargs: Any, fields: dict[str, forms.Field]) -> dict[str, Any]:
    """Initial values of the fields for `kwargs`: the inverse of `kwargs_of`."""
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
    field = _field_of_kind(kind, required=required, empty_label=_empty_label(parameter))
    field.label = parameter.name
    field.help_text = _help_text(parameter, kind)
    return field


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) in {Union, UnionType}:
        others = [kind for kind in typing.get_args(annotation) if kind is not NoneType]
        if len(others) < len(typing.get_args(annotation)):
            return (others[0] if len(others) == 1 else Any), True
    return annotation, False


def _field_of_kind(kind: Any, *, required: bool, empty_label: str) -> forms.Field:
    if kind is bool:
        choices = [("", empty_label), ("True", _("yes")), ("False", _("no"))]
        return forms.TypedChoiceField(choices=choices, required=required, empty_value=None, coerce=lambda value: value == "True")
    if kind is int:
        return forms.IntegerField(required=required)
    if kind is float:
        return forms.FloatField(required=required)
    if kind is str:
        return forms.CharField(required=required)
    if values := _values_of(kind):
        choices = [("", empty_label), *((value, str(value)) for value in values)]
        by_text = {str(value): value for value in values}
        return forms.TypedChoiceField(choices=choices, required=required, empty_value=None, coerce=lambda text: by_text[str(text)])
    return forms.JSONField(required=required, widget=forms.Textarea(attrs={"rows": 2, "class": "vs-code", "spellcheck": "false"}))


def _values_of(kind: Any) -> list[Any]:
    """The values of a Literal or an Enum; empty for any other type."""
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [member.value for member in kind]
    return []


def _default_of(parameter: inspect.Parameter) -> str | None:
    """The default as text, or None when there is none to show."""
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    if default is REQUIRED or default is None or default == "":
        return None
    if isinstance(default, bool):
        return _("yes") if default else _("no")
    return default if isinstance(default, str) else json.dumps(default, default=str)


def _empty_label(parameter: inspect.Parameter) -> str:
    if parameter.default is REQUIRED:
        return _("choose a value")
    default = _default_of(parameter)
    return _("default") if default is None else _("default (%(value)s)") % {"value": default}


def _help_text(parameter: inspect.Parameter, kind: Any) -> str:
    """Type and default: "Text. Default: home", "Number, required", "one of eu, us (default: eu)"."""
    name, default = _name_of(kind), _default_of(parameter)
    if parameter.default is REQUIRED:
        return _("%(type)s, required") % {"type": name} if name else _("required")
    if default is None:
        return _("%(type)s, optional") % {"type": name} if name else _("optional")
    if _values_of(kind):
        return _("%(type)s (default: %(value)s)") % {"type": name, "value": default}
    return _("%(type)s. Default: %(value)s") % {"type": name, "value": default} if name else _("Default: %(value)s") % {"value": default}


def _name_of(kind: Any) -> str:
    if values := _values_of(kind):
        return _("one of %(values)s") % {"values": ", ".join(map(str, values))}
    names = {bool: _("Yes or no"), int: _("Whole number"), float: _("Number"), str: _("Text")}
    if isinstance(kind, type):
        return names.get(kind, kind.__name__)
    return "" if kind is Any else str(kind).replace("typing.", "")
