"""No bytes of strangers keep a processor busy: what reads them takes time in proportion to their length.

Nothing here measures a time.  Each reader gets a megabyte (the most that is read of a file) of each hostile kind, in a process
that the system ends after far more processor time than a linear reader needs, and far less than a quadratic one.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

pytestmark = pytest.mark.once

MEGABYTE = 1_048_576
PARTS = 20
PROCESSOR_SECONDS = 60
"""A quadratic reader needs at least 10^11 steps for a megabyte: many minutes."""

UNITS = [
    *("1", "0x1", "-1", "1.", "1e", "1e1", " ", "\t\n", "a", "_", "$", ",", "[", "{", '{"a":', "]", "}", '"', "'", "\\", '\\"', "\\'", '"\\', '""'),
    *("/", "//", "/*", "*/", "/**/", "\ufeff", "\x00", "²", "v", "V.", "1-", "1.1.", "v 1", "rc1", "<", "<a ", "<!--", "&", "&#", "]]>"),
    *(
        "[assembly:ModInfo(",
        "[assembly : ModInfoAttribute (",
        "[ ",
        ")",
        ") ",
        ")]",
        '[assembly:ModInfo("',
        "[assembly:ModInfo(Authors=new",
        "Authors=new",
        "Authors = new[] {",
    ),
    *('Version="', "Version=", "Version ", "Description=@", "Side = ", "Game Version: ", "Game Version: 1", "Dedicated Server now running on Port ", "modid", "version-"),
]
"""Repeated up to a megabyte, alone and between what a file begins and ends with."""

BEGINNINGS = ["", '{"version": ', '{"modid": "', "[assembly:ModInfo(", '[assembly:ModInfo("a", "b", Authors = new[] { "']
ENDS = ["", "x", '"}', ")]"]

READ = """
import sys
from pathlib import Path
import django, os
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()
from tests.game.test_hostile_bytes import read_all
read_all(Path(sys.argv[1]), int(sys.argv[2]))
"""


WORST = [
    ("", "[assembly:ModInfo(", ""),
    ('{"version": ', "1", "x"),
    ("[assembly:ModInfo(", "Authors=new", ")]"),
    ('[assembly:ModInfo("a", "b", Authors = new[] { "', '\\"', ")]"),
    ("", " ", "x"),
]
"""On which readers of earlier versions took hours."""


def hostile(number: int) -> list[str]:
    """The worst texts for 0; for other numbers a part of all texts."""
    everything = [(begin, unit, end) for begin in BEGINNINGS for end in ENDS for unit in UNITS]
    chosen = everything[number - 1 :: PARTS] if number else WORST
    return [begin + unit * ((MEGABYTE - len(begin) - len(end)) // len(unit)) + end for begin, unit, end in chosen]


def read_all(folder: Path, number: int) -> None:
    """Give each text to everything that reads bytes of strangers."""
    from vsadmin.game.disk import lenient_json, mod_package, server_install
    from vsadmin.game.exceptions import GameError
    from vsadmin.game.rules import versions
    from vsadmin.game.sanitize import clean_html, clean_text

    for text in hostile(number):
        source = folder / "Mod.cs"
        source.write_text(text)
        (folder / "modinfo.json").write_text(text)
        for read in (
            lambda text=text: lenient_json.loads(text),
            lambda text=text: versions.parse_mod_version(text),
            lambda text=text: versions.read_game_version(text),
            lambda text=text: clean_text(text, 500),
            lambda text=text: clean_html(text[:100_000]),
            lambda text=text: server_install._LOGGED_VERSION.search(text[: server_install.LOG_BYTES]),
            lambda source=source: mod_package.read_source(source),
            lambda: mod_package.read_folder(folder),
        ):
            try:
                read()
            except (GameError, ValueError):
                continue


def limit_processor() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))


@pytest.mark.parametrize("number", [0, *[pytest.param(number, marks=pytest.mark.chaos) for number in range(1, PARTS + 1)]])
def test_what_reads_bytes_of_strangers_is_linear(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", READ, str(tmp_path), str(number)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, preexec_fn=limit_processor)
    assert done.returncode == 0, f"ended by {done.returncode} after {PROCESSOR_SECONDS} s of processor time: {done.stderr[-2000:]}"


FUNCTIONS = re.compile(r"\bre\.(compile|match|fullmatch|search|sub|split|findall|finditer)\(")
KNOWN = {
    "disk/lenient_json.py": 3,
    "disk/mod_folder.py": 2,
    "disk/mod_package.py": 6,
    "disk/modinfo.py": 1,
    "disk/server_install.py": 2,
    "rules/versions.py": 2,
}
"""Regular expressions over foreign bytes.  Before you raise a number, give the new one its hostile texts in UNITS."""


def test_every_regular_expression_over_foreign_bytes_is_known() -> None:
    room = REPOSITORY / "vsadmin" / "game"
    found = {str(path.relative_to(room)): len(FUNCTIONS.findall(path.read_text())) for path in sorted(room.rglob("*.py"))}
    assert {path: count for path, count in found.items() if count} == KNOWN
