from __future__ import annotations

import pytest
from django.db.migrations.recorder import MigrationRecorder

from jobs.monitoring.readiness import missing_migrations, why_not_ready

pytestmark = pytest.mark.django_db


def test_a_migrated_database_is_ready() -> None:
    assert missing_migrations() == []
    assert why_not_ready() is None


def test_a_missing_migration_is_named_with_its_remedy() -> None:
    MigrationRecorder.Migration.objects.filter(app="jobs", name="0003_run_totals").delete()
    assert why_not_ready() == "the database lacks migrations: jobs.0003_run_totals; run `manage.py migrate`"


def test_of_many_missing_migrations_three_are_named_and_all_are_counted() -> None:
    count, _per_model = MigrationRecorder.Migration.objects.all().delete()
    reason = str(why_not_ready())
    assert reason.count(".0") == 3
    assert f"({count} in all)" in reason


def test_a_migration_that_a_newer_release_applied_does_no_harm() -> None:
    MigrationRecorder.Migration.objects.create(app="jobs", name="9999_from_the_future")
    assert why_not_ready() is None
