"""What only PostgreSQL has: functions and triggers."""

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import RunPython
from django.db.migrations.state import StateApps


def on_postgresql(create: str, drop: str) -> RunPython:
    """Execute `create`, and `drop` on the way back; on another database nothing."""

    def execute(statement: str, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(statement, params=None)

    def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        execute(create, schema_editor)

    def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        execute(drop, schema_editor)

    return RunPython(forwards, backwards)
