"""Clients that are generated from the OpenAPI document do what they were told of, and nothing else."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from jobs.models import JobDefinition
from tests.support.api import ADMIN_KEY
from tests.support.processes import REPOSITORY, Site

DOCUMENT = REPOSITORY / "docs" / "openapi.json"
TYPESCRIPT = Path(__file__).with_name("typescript")


def test_the_document_validates() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(json.loads(DOCUMENT.read_text())).iter_errors()] == []


def run(*command: str, cwd: Path, timeout: float = 180) -> None:
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports modules of a Python client that was generated from the document."""
    (tmp_path / "config.yml").write_text("post_hooks: []\n")  # its default formats the client with ruff
    generator = str(Path(sys.executable).with_name("openapi-python-client"))
    options = ("--path", str(DOCUMENT), "--output-path", "generated_client", "--meta", "none", "--config", "config.yml", "--fail-on-warning")
    run(generator, "generate", *options, cwd=tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name: importlib.import_module(f"generated_client.{name}")
    for name in [name for name in sys.modules if name.startswith("generated_client")]:
        del sys.modules[name]


@pytest.fixture
def client(generated: Any, site: Site) -> Iterator[Any]:
    address = site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY)
    made = generated("client").AuthenticatedClient(base_url=address, token=ADMIN_KEY, prefix="", auth_header_name="X-API-Key", httpx_args={"trust_env": False})
    with made as opened:
        yield opened


@pytest.mark.once
def test_a_generated_python_client_goes_through_the_life_of_a_job(generated: Any, client: Any) -> None:
    models = generated("models")

    def ask(operation: str, *path: str, **options: Any) -> Any:
        return generated(f"api.jobs.{operation}").sync_detailed(*path, client=client, **options)

    job = models.JobCreate(
        id="nightly", function="mod_cache_refresh", trigger=models.Trigger.CRON, cron="30 2 * * *", timezone="Europe/Vienna", enabled=False, max_retries=5
    )
    made = ask("create_job", body=job)
    assert made.status_code == 201
    before = made.parsed.data.job
    assert before.trigger == "cron"
    assert [listed.id for listed in ask("list_jobs").parsed.data.jobs] == ["nightly"]

    changed = ask("change_job", "nightly", body=models.JobChange(title="Renamed"), if_match=made.headers["ETag"]).parsed.data.job
    kept = before.to_dict().keys() - {"title", "revision", "updated_at"}
    assert {name: changed.to_dict()[name] for name in kept} == {name: before.to_dict()[name] for name in kept}
    assert (changed.title, JobDefinition.objects.get().max_retries) == ("Renamed", 5)

    stale = ask("change_job", "nightly", body=models.JobChange(title="Lost"), if_match=made.headers["ETag"])
    assert (stale.status_code, stale.parsed.code) == (412, "REVISION_MISMATCH")
    requested = ask("run_job", "nightly", body=models.RunRequest(), idempotency_key="once")
    assert (requested.status_code, requested.parsed.data.run.status) == (202, "queued")
    assert ask("pause_job", "nightly", body=models.Pause(reason="holidays")).parsed.data.job.pause_reason == "holidays"
    assert ask("delete_job", "nightly").parsed.data.message == "Job 'nightly' deleted"


@pytest.fixture
def packages(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the pinned npm packages, which are kept in pytest's cache, and the files of the client."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.skip(f"no {program} on this machine (Debian: apt install nodejs npm)")
    kept = request.config.cache.mkdir("typescript")
    pinned = (TYPESCRIPT / "package-lock.json").read_text()
    installed = kept / "package-lock.json"
    if not (kept / "node_modules").is_dir() or not installed.exists() or installed.read_text() != pinned:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(TYPESCRIPT / name, kept)
        install = ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0", "--fetch-timeout=20000"]
        done = subprocess.run(install, cwd=kept, text=True, capture_output=True, timeout=300, check=False)
        if done.returncode:
            installed.unlink()
            pytest.skip(f"the npm packages of {TYPESCRIPT.relative_to(REPOSITORY)} cannot be installed: {done.stderr.strip()[-300:]}")
    for path in TYPESCRIPT.iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "node_modules").symlink_to(kept / "node_modules")
    return tmp_path


@pytest.mark.once
def test_a_generated_typescript_client_goes_through_the_life_of_a_job(packages: Path, site: Site) -> None:
    run("node_modules/.bin/openapi-typescript", str(DOCUMENT), "--output", "schema.d.ts", cwd=packages)
    run("node_modules/.bin/tsc", "--project", ".", cwd=packages)
    run("node", "built/round_trip.js", site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY), ADMIN_KEY, cwd=packages)
    job = JobDefinition.objects.get()
    assert (job.title, job.max_retries, job.archived_at is None) == ("Renamed", 5, False)
