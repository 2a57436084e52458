"""Export and import of definitions: plain JSON that another installation, or a repository, can keep."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from jobs.exceptions import JobsError
from jobs.models import Author, JobDefinition

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

    Raises Unreadable, which names the job and the field that are wrong.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
        raise Unreadable("expected a list of objects that each have an id, as `jobs export` prints it")
    counts = {"created": 0, "changed": 0, "unchanged": 0}
    with transaction.atomic():
        for row in rows:
            counts[_import_one(row, author)] += 1
    return counts


def _import_one(row: dict[str, Any], author: Author) -> str:
    if unknown := row.keys() - set(FIELDS):
        raise Unreadable(f"job {row['id']!r}: unknown fields {', '.join(sorted(unknown))}")
    try:
        values = {field.name: field.to_python(row[field.name]) for field in JobDefinition._meta.concrete_fields if field.name in row}
        known = JobDefinition.objects.filter(pk=row["id"]).first()
        if known is None:
            JobDefinition.objects.add(author, "imported", **values)
            return "created"
        changes = {name: value for name, value in values.items() if getattr(known, name) != value}
        if not changes:
            return "unchanged"
        known.edit(author, reason="imported", **changes)
    except ValidationError as error:
        problems = "; ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items()) if hasattr(error, "error_dict") else str(error)
        raise Unreadable(f"job {row['id']!r}: {problems}") from error
    return "changed"
