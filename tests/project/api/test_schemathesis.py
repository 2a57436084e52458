from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.api import ADMIN_KEY
from tests.support.processes import Site
from tests.support.rows import make_job, make_run

CONFIG = Path(__file__).with_name("schemathesis.toml")


def attack(site: Site, *options: str) -> None:
    """Let schemathesis try everything that the document allows, and everything that it does not."""
    # One worker: in two threads CPython 3.11's `ast.parse`, which hypothesis calls, now and then ends in a SystemError.
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run", f"{site.base_url}/api/v1alpha1/openapi.json"]
    done = subprocess.run(
        [*command, "--seed", "1", "--request-timeout", "60", "--no-color", *options],
        cwd=site.folder,
        env=site.env,
        text=True,
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]


@pytest.mark.once
def test_schemathesis_finds_nothing_with_a_key(site: Site) -> None:
    make_run(make_job("backup"))
    site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY)
    attack(site, "--header", f"X-API-Key: {ADMIN_KEY}", "--max-examples", "3")


@pytest.mark.once
def test_schemathesis_finds_nothing_without_one(site: Site) -> None:
    make_job("backup")
    site.start_web()
    attack(site, "--phases", "examples,fuzzing", "--max-examples", "2")
