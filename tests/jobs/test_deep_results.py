"""A result that is nested too deeply to be read: the run is shown on every road, and says so."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client

from jobs.models import JobRun
from tests.support.api import ADMIN_KEY, ROOT
from tests.support.rows import make_job, make_run

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("levels", [33, 930])
@pytest.mark.parametrize("column", ["result", "progress", "kwargs"])
def test_a_run_with_a_deep_value_is_shown(settings: Any, levels: int, column: str) -> None:
    settings.API_KEY_ADMIN = ADMIN_KEY
    run = make_run(make_job("deep", function="game_server_watch"))
    with connection.cursor() as cursor:  # as an earlier version, or a SQL prompt, stored it
        cursor.execute(f"UPDATE jobs_jobrun SET {column} = %s WHERE id = %s", ["[" * levels + "]" * levels, run.pk])
    client = Client()
    client.force_login(User.objects.create_superuser("mira", "mira@example.org", "secret"))
    for path in (f"/admin/jobs/jobrun/{run.pk}/", "/admin/jobs/jobrun/", f"/admin/jobs/jobrun/{run.pk}/follow/", "/admin/"):
        assert client.get(path, follow=True).status_code < 500, path
    for path in (f"/runs/{run.pk}", "/runs", "/jobs/deep", "/jobs/deep/runs", "/jobs"):
        assert client.get(ROOT + path, headers={"X-API-Key": ADMIN_KEY}).status_code < 500, path
    call_command("jobs", "show", "deep", stdout=StringIO())
    assert JobRun.objects.count() == 1
