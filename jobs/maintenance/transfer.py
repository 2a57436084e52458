"""Export and import of definitions: plain JSON that another installation, or a repository, can keep."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import BooleanField, CharField, DateTimeField, Field, IntegerField

from jobs.exceptions import JobsError
from jobs.models import Author, JobDefinition

TYPES: tuple[tuple[type[Any], type, str], ...] = (
    (IntegerField, int, "a whole number"),
    (BooleanField, bool, "true or false"),
    (CharField, str, "text"),
    (DateTimeField, str, "a time such as 2026-12-24T18:00:00+01:00"),
)
"""For each type of field, the type that its values have in JSON."""

FIELDS = ("id", *(field.name for field in JobDefinition._meta.concrete_fields if field.editable and not field.primary_key))
"""The id, and the fields that staff may edit."""


class Unreadable(JobsError):
    """The file is no export; nothing was imported."""


def export_definitions() -> list[dict[str, Any]]:
    """Every definition that is not archived, by id: JSON-ready values of the fields that staff may edit."""
    return [{name: _plain(definition, name) for name in FIELDS} for definition in JobDefinition.objects.current()]


def _plain(definition: JobDefinition, name: str) -> Any:
    value = getattr(definition, name)
    return value.isoformat() if hasattr(value, "isoformat") else value


def import_definitions(rows: Any, author: Author) -> dict[str, int]:
    """Create what is missing and change what differs, all or nothing; returns how many of each.

    Raises Unreadable, which names everything that is wrong, by job and field.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
        raise Unreadable("expected a list of objects that each have an id, as `jobs export` prints it")
    counts = {"created": 0, "changed": 0, "unchanged": 0}
    problems: list[str] = []
    with transaction.atomic():
        for row in rows:
            try:
                counts[_import_one(row, author)] += 1
            except ValidationError as error:
                problems += [f"job {row['id'][:100]!r}: {name}: {' '.join(messages)}" for name, messages in error.message_dict.items()]
        if problems:
            raise Unreadable("\n".join(problems))
    return counts


def _import_one(row: dict[str, Any], author: Author) -> str:
    """Raises ValidationError by field."""
    values = _read(row)
    known = JobDefinition.objects.filter(pk=row["id"]).first()
    if known is None:
        JobDefinition.objects.add(author, "imported", **values)
        return "created"
    changes = {name: value for name, value in values.items() if getattr(known, name) != value}
    if not changes:
        return "unchanged"
    known.edit(author, reason="imported", **changes)
    return "changed"


def _read(row: dict[str, Any]) -> dict[str, Any]:
    """The values of the fields; raises ValidationError by field."""
    problems: dict[str, Any] = dict.fromkeys(row.keys() - set(FIELDS), "there is no such field")
    values = {}
    for field in [field for field in JobDefinition._meta.concrete_fields if field.name in row]:
        try:
            values[field.name] = _value(field, row[field.name])
        except ValidationError as error:
            problems[field.name] = error
    if problems:
        raise ValidationError(problems)
    return values


def _value(field: Field[Any, Any], value: Any) -> Any:
    """The field's value for a value of JSON, which must have the type that an export gives it."""
    types, expected = next((kind[1:] for kind in TYPES if isinstance(field, kind[0])), (object, ""))
    if not (isinstance(value, types) or (value is None and field.null)) or (isinstance(value, bool) and types is int):
        raise ValidationError(f"expected {expected}, got {json.dumps(value)[:60]}")
    if isinstance(field, DateTimeField) and str(value).isdecimal():
        raise ValidationError(f"expected {expected}, got {value}")
    return field.to_python(value)
