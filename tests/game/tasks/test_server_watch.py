"""The server watch, with real processes and real files."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client

from tests.game.support.fake_server import remove_install, run_fake_server
from tests.game.support.run_job import RunJob
from vsadmin.game.disk.server_config import read_server_config
from vsadmin.game.disk.server_process import find_server
from vsadmin.game.health import health_block
from vsadmin.game.models import InstalledMod, ServerStatus, ServerStatusChange
from vsadmin.game.observation import Observation, ServerState
from vsadmin.game.tasks.server_watch import observe, pending_reasons


def touch_later(path: Path, seconds: float = 30) -> None:
    later = time.time() + seconds
    os.utime(path, (later, later))


def age(folder: Path) -> None:
    """Make every file in the folder an hour old, so that it is older than a server started by the test."""
    an_hour_ago = time.time() - 3600
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (an_hour_ago, an_hour_ago))


def test_every_state_of_a_server_is_observed(run_job: RunJob, folder: Path, port: int) -> None:
    age(folder)
    assert run_job("game_server_watch") == {"state": "stopped", "version": "1.22.6", "pending_restart": False, "changed": True}
    with run_fake_server(folder, port, folder / "data") as server:
        assert run_job("game_server_watch")["state"] == "starting"
        server.send("listen")
        assert run_job("game_server_watch")["state"] == "running"
        status = ServerStatus.objects.get()
        assert (status.pid, status.port, status.uptime_seconds) == (server.process.pid, port, status.uptime_seconds)
        assert status.uptime_seconds is not None
        assert status.uptime_seconds < 60
        server.send("close")
        assert run_job("game_server_watch")["state"] == "stopping"
    assert run_job("game_server_watch")["state"] == "stopped"
    remove_install(folder)
    assert run_job("game_server_watch")["state"] == "not_installed"
    states = list(ServerStatusChange.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["stopped", "starting", "running", "stopping", "stopped", "not_installed"]


def test_the_history_grows_only_with_a_change(run_job: RunJob) -> None:
    assert [run_job("game_server_watch")["changed"] for _ in range(3)] == [True, False, False]
    assert ServerStatus.objects.count() == ServerStatusChange.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [("data/serverconfig.json", "serverconfig.json"), ("data/Mods/lanternoil_2.0.3.zip", "Mods/lanternoil_2.0.3.zip"), ("data/Mods", "Mods/")],
)
def test_a_change_since_the_start_makes_a_restart_pending(run_job: RunJob, folder: Path, port: int, changed: str, reason: str) -> None:
    age(folder)
    with run_fake_server(folder, port, folder / "data") as server:
        server.send("listen")
        age(folder / "server")  # the program of the fake server was just written
        assert run_job("game_server_watch")["pending_restart"] is False
        touch_later(folder / changed)
        assert run_job("game_server_watch")["pending_restart"] is True
        assert ServerStatus.objects.get().pending_reasons == [reason]


def test_a_configuration_written_while_the_server_starts_needs_no_restart(folder: Path, port: int) -> None:
    age(folder)
    with run_fake_server(folder, port, folder / "data"):
        process = find_server(folder / "data", folder / "server")
        assert process is not None
        touch_later(folder / "data" / "serverconfig.json", 20)
        config = read_server_config(folder / "data")
        assert pending_reasons(process, None, config, folder / "data", folder / "server") == []
        assert pending_reasons(process, process.started_at, config, folder / "data", folder / "server") == ["serverconfig.json"]


def test_the_game_s_note_in_the_mod_folder_needs_no_restart(folder: Path, port: int) -> None:
    age(folder)
    with run_fake_server(folder, port, folder / "data"):
        process = find_server(folder / "data", folder / "server")
        assert process is not None
        touch_later(folder / "data" / "Mods" / "Creating_Mods.txt")
        touch_later(folder / "data" / "Mods")
        assert pending_reasons(process, None, read_server_config(folder / "data"), folder / "data", folder / "server") == []


def test_a_new_game_version_reassesses_the_mods_at_once(run_job: RunJob, folder: Path) -> None:
    run_job("game_server_watch")
    run_job("mod_cache_refresh")
    before = InstalledMod.objects.get(modid="quernstone").compatibility
    (folder / "server" / "assets" / "version-1.22.6.txt").rename(folder / "server" / "assets" / "version-1.22.1.txt")
    run_job("game_server_watch")
    assert (before, InstalledMod.objects.get(modid="quernstone").compatibility) == ("not_verified", "compatible")


@pytest.mark.once
@pytest.mark.alone
def test_an_observation_costs_at_most_twenty_milliseconds(folder: Path, port: int) -> None:
    status = None
    with run_fake_server(folder, port, folder / "data"):
        times = []
        for _ in range(20):
            started = time.thread_time()
            observe(folder / "data", folder / "server", status, datetime.now(UTC))
            times.append(time.thread_time() - started)
    assert sorted(times)[len(times) // 2] < 0.020


def test_only_the_last_thousand_changes_are_kept(db: None) -> None:
    now = datetime.now(UTC)
    ServerStatusChange.objects.bulk_create(ServerStatusChange(state="stopped", port=1, seen_at=now) for _ in range(1200))
    ServerStatus.objects.record(Observation(state=ServerState.RUNNING, version="", port=1), now)
    assert ServerStatusChange.objects.count() == 1000


def test_the_health_block_shows_the_latest_observation(run_job: RunJob, django_assert_num_queries: object) -> None:
    assert health_block() == {
        "game_server": "not_installed",
        "game_server_version": None,
        "game_server_uptime": None,
        "game_server_pending_restart": False,
        "disk_space": None,
    }
    run_job("game_server_watch")
    with django_assert_num_queries(1):  # type: ignore[operator]  # pytest-django's fixture is typed as object
        block = health_block()
    assert (block["game_server"], block["game_server_version"]) == ("stopped", "1.22.6")
    assert set(block["disk_space"]) == {"total_bytes", "used_bytes", "free_bytes", "free_percent", "low"}


def test_healthz_shows_the_server(transactional_db: None, run_job: RunJob, client: Client) -> None:
    run_job("game_server_watch")
    data = client.get("/healthz").json()["data"]
    assert {name: data[name] for name in health_block()} == health_block()
    assert data["game_server_version"] == "1.22.6"


def test_uptime_stands_still_when_the_watch_stops(db: None) -> None:
    observed_at = datetime.now(UTC) - timedelta(hours=5)
    ServerStatus.objects.record(Observation(state=ServerState.RUNNING, version="", port=1, started_at=observed_at - timedelta(seconds=90)), observed_at)
    assert health_block()["game_server_uptime"] == 90
