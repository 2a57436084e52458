"""deploy/: the environment file means the same to systemd and to a shell, and the units are hardened and start what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from devtools.environment import REPOSITORY
from vsadmin.environment import Environment, read_environment

pytestmark = pytest.mark.once

DEPLOY = REPOSITORY / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SECRET = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"
ASSIGNMENT = re.compile(r"^\s*(VS_[A-Z_]+)=(.*)$", re.MULTILINE)


def as_systemd_reads(text: str) -> dict[str, str]:
    """EnvironmentFile= as systemd.exec(5) describes it: only whole lines are comments, and an unquoted value goes to the end of its line."""
    values = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        name, _, value = line.strip().partition("=")
        if quoted := re.fullmatch(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"", value):
            value = quoted[1] if quoted[1] is not None else re.sub(r"\\(.)", r"\1", quoted[2])
        values[name] = value
    return values


def as_a_shell_reads(path: Path) -> dict[str, str]:
    printed = subprocess.run(["sh", "-c", 'set -a; . "$1"; env -0', "sh", str(path)], env={}, capture_output=True, text=True, check=True).stdout
    return dict(entry.split("=", 1) for entry in printed.split("\0") if entry.startswith("VS_"))


@pytest.fixture
def filled_in(tmp_path: Path) -> Path:
    """The example with a secret, as its installer leaves it."""
    path = tmp_path / "vsadmin.env"
    path.write_text((DEPLOY / "vsadmin.env").read_text().replace("VS_SECRET_KEY=''", f"VS_SECRET_KEY='{SECRET}'"))
    return path


def test_this_reader_keeps_an_inline_comment_as_systemd_does() -> None:
    assert as_systemd_reads("# no\n; no\nVS_A=127.0.0.1   # the proxy\nVS_B='x y'\n") == {"VS_A": "127.0.0.1   # the proxy", "VS_B": "x y"}


def test_systemd_and_a_shell_read_the_same_valid_environment(filled_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = as_systemd_reads(filled_in.read_text())
    assert values == as_a_shell_reads(filled_in)
    assert set(values) <= {f"VS_{name.upper()}" for name in Environment.model_fields}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    environment = read_environment()
    assert (environment.secret_key, environment.trusted_proxies, environment.debug) == (SECRET, ["127.0.0.1"], False)


def test_the_environment_of_an_example_has_no_comment_behind_a_value() -> None:
    pages = [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md", DEPLOY / "vsadmin.env"]
    commented = [f"{page.name}: {match[0].strip()}" for page in pages for match in ASSIGNMENT.finditer(page.read_text()) if " #" in match[2]]
    assert commented == []


def test_manage_runs_with_the_environment_of_the_services(filled_in: Path) -> None:
    filled_in.write_text(f"{filled_in.read_text()}VS_DATABASE_URL='sqlite:///{filled_in.parent}/x.sqlite3'\n")
    program = "from django.conf import settings; print(settings.SECRET_KEY, settings.JOBS_ENVIRONMENT)"
    command = [str(DEPLOY / "manage"), "shell", "--no-imports", "-c", program]
    ran = subprocess.run(command, cwd="/", env={"PATH": "/usr/bin:/bin", "VSADMIN_ENVIRONMENT_FILE": str(filled_in)}, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == [SECRET, "production"], ran.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_what_the_steps_have_installed(unit: Path) -> None:
    page, text = (REPOSITORY / "docs" / "operations.md").read_text(), unit.read_text()
    assert "git clone … /opt/vsadmin" in page
    assert "EnvironmentFile=/etc/vsadmin.env" in text
    assert "/etc/vsadmin.env" in page
    assert "User=vsadmin" in text
    assert page.index("useradd") < page.index("git clone …") < page.index("install -o root -g vsadmin -m 0640 deploy/vsadmin.env") < page.index("deploy/manage migrate")
    [program, *arguments] = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)[0].split()
    installed = REPOSITORY / Path(program).relative_to("/opt/vsadmin")
    assert installed.exists()
    assert "manage.py" not in arguments or (REPOSITORY / "manage.py").exists()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on this machine (Debian: apt install systemd)")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_hardened(unit: Path) -> None:
    rated = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=40", str(unit)], capture_output=True, text=True, check=False)
    [exposure] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)
    assert float(exposure) < 4
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if unit.name in line and "is not executable" not in line]
    assert complaints == []
