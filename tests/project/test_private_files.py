"""The SQLite database and `var/` are for their owner only, whatever the umask says."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.settings import SECRET_KEY_FOR_TESTS
from tests.support.processes import REPOSITORY
from vsadmin.checks import check_private_files
from vsadmin.private_files import private_database, private_folder

pytestmark = pytest.mark.once


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def run(database: Path, *command: str) -> str:
    variables = {"VS_SECRET_KEY": SECRET_KEY_FOR_TESTS, "VS_DATABASE_URL": f"sqlite:///{database}"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VS_", "DJANGO_"))} | variables
    done = subprocess.run([sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True, umask=0o022)
    return done.stdout


LEAVE_THE_LOG_OPEN = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "vsadmin.settings"
django.setup()
from django.db import connection
connection.cursor().execute("create table one (x)")
folder = os.environ["FOLDER"]
print(*sorted(f"{name} {os.stat(os.path.join(folder, name)).st_mode & 0o777:o}" for name in os.listdir(folder)), sep=",")
"""


def test_a_new_database_and_its_log_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDER", str(tmp_path))
    listed = run(tmp_path / "new.sqlite3", "-c", LEAVE_THE_LOG_OPEN)
    assert listed.strip().split(",") == ["new.sqlite3 600", "new.sqlite3-shm 600", "new.sqlite3-wal 600"]


def test_an_existing_database_and_its_log_are_tightened(tmp_path: Path) -> None:
    files = [tmp_path / f"old.sqlite3{suffix}" for suffix in ("", "-wal", "-shm")]
    for file in files:
        file.touch(0o644)
        file.chmod(0o664)
    run(files[0], "manage.py", "check")
    assert [mode(file) for file in files] == [0o600] * 3


def test_a_folder_is_made_private_and_an_existing_one_tightened(tmp_path: Path) -> None:
    private_folder(tmp_path / "new")
    (tmp_path / "old").mkdir()
    (tmp_path / "old").chmod(0o755)
    private_folder(tmp_path / "old")
    assert [mode(tmp_path / name) for name in ("new", "old")] == [0o700, 0o700]


def test_the_folder_of_the_default_database_is_private() -> None:
    (REPOSITORY / "var").mkdir(exist_ok=True)
    (REPOSITORY / "var").chmod(0o755)
    run(Path("var") / "private.sqlite3", "manage.py", "check")
    (REPOSITORY / "var" / "private.sqlite3").unlink()
    assert mode(REPOSITORY / "var") == 0o700


def test_a_database_that_others_may_read_is_named_by_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shared.sqlite3"
    path.touch()
    path.chmod(0o644)
    monkeypatch.setattr("vsadmin.checks.settings", SimpleNamespace(DATABASE_FILE=path))
    [warning] = check_private_files()
    assert (warning.id, warning.hint) == ("vsadmin.W001", f"as its owner: chmod 600 {path}")
    private_database(path)
    assert check_private_files() == []
