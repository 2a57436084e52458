"""The stand-in: as a process like in `./dev up --demo`, its formats, and its switches."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.processes import REPOSITORY, free_port
from vsadmin.game.standin.server import StandIn

READY = "ready\n"


@pytest.fixture
def ask(standin: StandIn) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=standin.url, trust_env=False, timeout=5) as client:
        yield client


@pytest.mark.once
def test_the_process_prints_ready_serves_both_services_and_stops_on_sigterm(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "vsadmin.game.standin", "--port", str(port), "--folder", str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == READY
        url = f"http://127.0.0.1:{port}"
        assert httpx2.get(f"{url}/lateststable.txt", trust_env=False).text == "1.22.7"
        assert len(httpx2.get(f"{url}/api/mods", trust_env=False).json()["mods"]) == 40
        assert (tmp_path / "server/assets/version-1.22.6.txt").is_file()
        assert (tmp_path / "data/serverconfig.json").is_file()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""


@pytest.mark.once
def test_a_port_in_use_is_reported_in_one_line(standin: StandIn) -> None:
    command = [sys.executable, "-m", "vsadmin.game.standin", "--port", str(standin.server_address[1])]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/api/mod/nosuchmod", {"statuscode": "404"}),
        ("/api/mod/harrow-hoe", {"statuscode": "404"}),
        ("/api/changelogs", {"statuscode": "410"}),
        ("/api/updates?mods=lanternoil", {"statuscode": "400"}),
        ("/api/updates?mods=lanternoil@9.0.0", {"statuscode": "200", "updates": []}),
    ],
)
def test_errors_have_http_status_200_like_those_of_the_real_service(ask: httpx2.Client, path: str, answer: dict[str, Any]) -> None:
    response = ask.get(path)
    assert (response.status_code, response.json()) == (200, answer)


def test_a_mod_is_found_by_number_and_by_identifier_in_any_case(ask: httpx2.Client) -> None:
    for key in ("7030", "DeepForge", "deepforge"):
        assert ask.get(f"/api/mod/{key}").json()["mod"]["modid"] == 7030


def test_updates_are_reported_for_several_mods_at_once(ask: httpx2.Client) -> None:
    updates = ask.get("/api/updates?mods=lanternoil@2.0.3,stoneovens@9.9.9").json()["updates"]
    assert updates["lanternoil"]["modversion"] == "2.1.0"
    assert set(updates) == {"lanternoil"}


def test_feeds_tags_and_game_versions_have_the_real_formats(ask: httpx2.Client) -> None:
    assert len(ask.get("/stable-unstable.json").json()) == 33
    assert ask.get("/latestunstable.txt").text == "1.23.0-pre.2"
    assert ask.get("/api/tags").json()["tags"][0]["tagid"] == "1"
    assert ask.get("/api/gameversions").json()["gameversions"][0]["tagid"] < 0
    assert "\\/" in ask.get("/api/mods").text
    assert ask.get("/nothing.json").status_code == 404


def test_switches_are_set_shown_and_validated(ask: httpx2.Client) -> None:
    assert ask.post("/switch", json={"mode": "html", "service": "mods", "next_release": True}).json()["latest"] == "1.22.8"
    assert ask.get("/switch").json()["modes"] == {"versions": "ok", "mods": "html"}
    assert ask.get("/api/mods").text.startswith("<!DOCTYPE")
    wrongs: list[Any] = [{"mode": "odd"}, {"service": "odd"}, {"odd": 1}, {"mod_update": "nosuchmod"}, []]
    for wrong in wrongs:
        assert ask.post("/switch", json=wrong).status_code == 422
    assert ask.get("/switch").json()["modes"] == {"versions": "ok", "mods": "html"}
