from __future__ import annotations

from pathlib import Path

from tests.game.support.fake_server import remove_install
from vsadmin.game.disk.server_install import installed_version


def test_the_version_comes_from_the_version_file_else_from_the_log(folder: Path) -> None:
    (folder / "server" / "assets" / "version-1.22.0-rc.10.txt").touch()
    (folder / "server" / "assets" / "version-nonsense.txt").touch()
    assert installed_version(folder / "server", folder / "data") == "1.22.6"
    remove_install(folder)
    assert installed_version(folder / "server", folder / "data") == ""
    (folder / "data" / "Logs").mkdir()
    (folder / "data" / "Logs" / "server-main.log").write_text("27.9.2026 22:00:00 [Notification] Game Version: v1.21.5 (Stable)\n")
    assert installed_version(folder / "server", folder / "data") == "1.21.5"
