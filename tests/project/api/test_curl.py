from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.api import ADMIN_KEY
from tests.support.processes import Site

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.once
@pytest.mark.skipif(not shutil.which("curl"), reason="no curl on this machine (Debian: apt install curl)")
def test_every_command_of_the_page_works_as_it_stands(django_db_reset_sequences: None, site: Site) -> None:
    site.start_web()
    key = site.manage("apikey", "create", "backup script", "--role", "admin").stdout.strip()
    environment = {"PATH": os.environ["PATH"], "KEY": key, "SITE": site.base_url}
    assert len(COMMANDS) > 20
    for command in COMMANDS:
        done = subprocess.run(["sh", "-ec", command], env=environment, text=True, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert '"status": "ok"' in done.stdout or "# TYPE" in done.stdout, done.stdout


def test_the_page_shows_every_operation_and_every_code() -> None:
    shown = set(re.findall(r"/api/v1alpha1(/[a-z/_0-9]+)", PAGE))
    for route in ("/auth/me", "/jobs", "/functions", "/jobs/preview", "/scheduler", "/runs", "/versions", "/mods", "/server/status"):
        assert route in shown
    for action in ("run", "pause", "resume", "restore", "runs", "upcoming"):
        assert f"/jobs/mods_at_night/{action}" in shown
    assert ADMIN_KEY not in PAGE
