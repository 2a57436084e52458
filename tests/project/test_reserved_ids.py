"""A job's id cannot be the name of a route: the job could not be asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from jobs.models import JobDefinition
from jobs.models.fields import RESERVED_IDS
from tests.support.api import ADMIN_KEY, ROOT
from tests.support.processes import REPOSITORY
from tests.support.rows import TESTER, make_job

pytestmark = pytest.mark.django_db


def test_every_route_beside_a_job_is_reserved() -> None:
    document = json.loads((REPOSITORY / "docs" / "openapi.json").read_text())
    beside = {path.removeprefix(ROOT).split("/")[2] for path in document["paths"] if path.removeprefix(ROOT).startswith("/jobs/")}
    assert {name for name in beside if not name.startswith("{")} == RESERVED_IDS


def test_such_an_id_is_refused_on_every_road(settings: Any, client: Client, tmp_path: Path) -> None:
    settings.API_KEY_ADMIN = ADMIN_KEY
    body = {"id": "preview", "function": "game_server_watch", "trigger": "manual"}
    answer = client.post(f"{ROOT}/jobs", json.dumps(body), "application/json", headers={"X-API-Key": ADMIN_KEY})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "id")
    with pytest.raises(ValidationError, match="name of a route"):
        JobDefinition.objects.add(TESTER, **body)
    make_job("kept")
    call_command("jobs", "export", stdout=(exported := (tmp_path / "jobs.json").open("w")))
    exported.close()
    file = Path(exported.name)
    file.write_text(file.read_text().replace('"kept"', '"preview"'))
    with pytest.raises(CommandError, match="name of a route"):
        call_command("jobs", "import", str(file))
    assert [row.pk for row in JobDefinition.objects.all()] == ["kept"]


def test_a_job_that_has_such_an_id_can_be_edited_and_archived() -> None:
    JobDefinition(id="preview", function="game_server_watch", trigger="manual").save()  # as a fixture would
    job = JobDefinition.objects.get().edit(TESTER, title="Old")
    assert job.archive(TESTER).archived_at is not None
