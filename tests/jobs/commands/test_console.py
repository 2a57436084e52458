"""What commands print of foreign text, and who runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from jobs.management.console import printable, user_of_process
from jobs.models import JobRun
from tests.settings import SECRET_KEY_FOR_TESTS
from tests.support.processes import REPOSITORY
from tests.support.rows import make_job

ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m\x7f\u202egnp.exe"


def said(*args: str) -> str:
    out = StringIO()
    call_command("jobs", *args, stdout=out)
    return out.getvalue()


def test_control_characters_are_written_as_in_json() -> None:
    assert printable("a\x1b[1mb\n\tc\x9b") == "a\\u001b[1mb\n\tc\\u009b"


@pytest.mark.django_db
def test_no_command_prints_foreign_control_characters() -> None:
    definition = make_job("escaping", function="game_server_watch", interval_seconds=60, title=ESCAPES)
    run = JobRun.objects.request(definition.pk, "mira")
    JobRun.objects.filter(pk=run.pk).update(error=ESCAPES)
    for args in (("list",), ("show", "escaping"), ("show", "escaping", "--json"), ("export",)):
        text = said(*args)
        assert not set(text) & set("\x1b\x07\x9b\x7f\u202e"), args
    assert json.loads(said("show", "escaping", "--json"))["title"] == ESCAPES, "programs read what is stored"


NAMELESS = """
import os, pwd, sys
def refuse(uid): raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = refuse
for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
    os.environ.pop(name, None)
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.mark.once
def test_a_user_without_a_name_and_a_home_can_run_every_command(tmp_path: Path) -> None:
    """As in a container with a number for a user."""
    environment = {"PATH": os.environ["PATH"], "VS_SECRET_KEY": SECRET_KEY_FOR_TESTS, "VS_DATABASE_URL": f"sqlite:///{tmp_path / 'nameless.sqlite3'}"}
    environment |= {"DJANGO_SETTINGS_MODULE": "vsadmin.settings"}

    def run(*args: str) -> str:
        command = [sys.executable, "-c", NAMELESS, *args]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("migrate", "--verbosity", "0")
    run("check")
    run("runscheduler", "--once", "--workers", "1")
    assert "game_server_watch" in run("jobs", "list")
    run("jobs", "pause", "game_server_watch")
    run("apikey", "create", "container")
    assert json.loads(run("apikey", "list", "--json"))[0]["created_by"] == f"uid {os.getuid()}"


def test_a_user_of_this_machine_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "mira")
    assert user_of_process() == "mira"


def test_an_unknown_user_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", refuse)
    assert user_of_process() == f"uid {os.getuid()}"
