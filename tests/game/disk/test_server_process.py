"""Finds the game server among real processes."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tests.game.support.fake_server import run_fake_server
from vsadmin.game.disk import server_process
from vsadmin.game.disk.server_process import data_path_of, find_server, program_of


def test_the_native_launcher_is_found_too(folder: Path, port: int) -> None:
    with run_fake_server(folder, port, folder / "data", dotnet=False) as server:
        found = find_server(folder / "data", folder / "server")
        assert found is not None
        assert found.pid == server.process.pid


def test_a_server_with_another_data_folder_is_ignored(folder: Path, port: int, tmp_path: Path) -> None:
    with run_fake_server(folder, port, tmp_path / "another"):
        assert find_server(folder / "data", folder / "server") is None


def test_without_a_data_path_the_install_folder_identifies_the_server(folder: Path, port: int, tmp_path: Path) -> None:
    with run_fake_server(folder, port, None):
        assert find_server(folder / "data", folder / "server") is not None
        assert find_server(folder / "data", tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("dotnet VintagestoryServer.dll --dataPath /d", "VintagestoryServer.dll"),
        ("/usr/bin/dotnet /opt/vs/VintagestoryServer.dll", "/opt/vs/VintagestoryServer.dll"),
        ("./VintagestoryServer", "./VintagestoryServer"),
        ("SCREEN -dmS vs ./VintagestoryServer", None),
        ("vim VintagestoryServer.dll", None),
        ("tail -f VintagestoryServer", None),
        ("", None),
    ],
)
def test_only_a_program_that_runs_the_server_counts(line: str, program: str | None) -> None:
    assert program_of(line.split()) == program


@pytest.mark.parametrize(("line", "path"), [("x --dataPath /d", "/d"), ("x --datapath=/d", "/d"), ("x --dataPath", None), ("x", None)])
def test_the_data_path_is_read_from_the_command_line(line: str, path: str | None) -> None:
    assert data_path_of(line.split()) == path


def test_a_hidden_command_line_falls_back_to_the_process_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: psutil.Process) -> list[str]:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "cmdline", refuse)
    assert find_server(folder / "data", folder / "server") is None
    monkeypatch.setattr(server_process, "PROGRAM", psutil.Process().name())
    assert find_server(folder / "data", folder / "server", last_pid=os.getpid()) is not None
