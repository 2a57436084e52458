"""Fixtures of the game's tests: the stand-in as a real HTTP server, and the folders of a sample server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from asgiref.sync import async_to_sync
from pytest_django import Settings

from jobs.registry import get_function
from tests.game.support.hostile_server import HostileServer, Script
from tests.game.support.run_job import SHORT_BUDGET, RunJob
from tests.support.processes import free_port
from vsadmin.game import jobs
from vsadmin.game.standin.sample_folder import build_sample
from vsadmin.game.standin.server import StandIn

# Without a deadline, because a busy machine is not a defect.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with StandIn() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.switches.apply({"mode": "ok"})  # releases requests that hang
        server.shutdown()
        serving.join()


@pytest.fixture
def hostile() -> Iterator[Callable[[Script], HostileServer]]:
    """Start a server that runs the script for each connection."""
    running: list[HostileServer] = []

    def start(script: Script) -> HostileServer:
        running.append(HostileServer(script))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """A sample server in `data` and `server`, and settings that point at it."""
    build_sample(tmp_path)
    settings.DATA_DIR, settings.SERVER_DIR = tmp_path / "data", tmp_path / "server"
    return tmp_path


@pytest.fixture
def port(folder: Path) -> int:
    """A free port that the sample server is configured to use."""
    chosen = free_port()
    config = json.loads((folder / "data" / "serverconfig.json").read_text())
    (folder / "data" / "serverconfig.json").write_text(json.dumps(config | {"Port": chosen}))
    return chosen


@pytest.fixture
def run_job(db: None, standin: StandIn, folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> RunJob:
    """Call a job function by its registered name, against the stand-in and the sample folder, with a short retry budget."""
    settings.VERSIONS_URL = settings.MODDB_URL = standin.url
    monkeypatch.setattr(jobs, "RETRY_BUDGET", SHORT_BUDGET)

    def run(name: str) -> dict[str, Any]:
        entry = get_function(name)
        result: dict[str, Any] = async_to_sync(entry.function)() if entry.is_async else entry.function()
        return result

    return run
