"""Mod folders with real packages, including hostile ones."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsadmin.game.disk.mod_folder import FoundMod, take_inventory
from vsadmin.game.disk.modinfo import parse_modinfo
from vsadmin.game.exceptions import LenientJsonError
from vsadmin.game.standin.sample_folder import build_sample, write_zip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data" / "Mods").mkdir(parents=True)
    (tmp_path / "server" / "Mods").mkdir(parents=True)
    return tmp_path


def found(root: Path) -> dict[str, FoundMod]:
    return {mod.file: mod for mod in take_inventory(root / "data", root / "server").mods}


def configure(root: Path, text: str) -> None:
    (root / "data" / "serverconfig.json").write_text(text)


def only(root: Path) -> FoundMod:
    (mod,) = found(root).values()
    return mod


def test_every_kind_of_package_of_the_sample_is_read(tmp_path: Path) -> None:
    build_sample(tmp_path)
    mods = found(tmp_path)
    facts = {name.removeprefix("Mods/"): (mod.modinfo.modid, mod.modinfo.version, mod.kind, mod.enabled, bool(mod.problem)) for name, mod in mods.items()}
    assert facts == {
        "DeepForge_4.0.0.zip": ("DeepForge", "4.0.0", "zip", True, False),
        "OurHouseRules.zip": ("ourhouserules", "1.0.0", "zip", True, False),
        "broken_modinfo.zip": ("brokenmodinfo", "", "zip", True, True),
        "idlepause.cs": ("idlepause", "1.0.0", "cs", True, False),
        "lanternoil_2.0.3.zip": ("lanternoil", "2.0.3", "zip", True, False),
        "loftladders": ("loftladders", "1.0.0", "folder", True, False),
        "nothing_at_all.zip": ("nothingatall", "", "zip", True, True),
        "oldroads_0.9.0.zip": ("oldroads", "0.9.0", "zip", False, False),
        "quernstone_2.2.10.zip": ("quernstone", "2.2.10", "zip", True, False),
        "serverbell_1.1.0.zip": ("serverbell", "1.1.0", "zip", True, False),
        "stoneovens_0.8.4.zip": ("stoneovens", "0.8.4", "zip", True, False),
        "wayfarerschest_3.5.0.zip": ("wayfarerschest", "3.5.0", "zip", True, False),
    }


def test_a_relative_mod_path_starts_at_the_install_folder(root: Path) -> None:
    (root / "server" / "Mods" / "VSSurvivalMod.dll").touch()
    (root / "server" / "Mods" / "extra.dll").touch()
    configure(root, '{"ModPaths": ["Mods"]}')
    assert [Path(name).name for name in found(root)] == ["extra.dll"]


def test_every_configured_mod_folder_is_read_once(root: Path) -> None:
    (root / "more").mkdir()
    write_zip(root / "more" / "one.zip", '{"name": "One"}')
    write_zip(root / "data" / "Mods" / "two.zip", '{"name": "Two"}')
    paths = [str(root / "more"), str(root / "data" / "Mods"), str(root / "more" / ".." / "more"), "/never/made"]
    configure(root, json.dumps({"ModPaths": paths}))
    assert sorted(found(root)) == sorted([f"{root}/more/one.zip", "Mods/two.zip"])


@pytest.mark.parametrize("config", ["", "[]", '{"ModPaths": "Mods"}', '{"ModPaths": [null, 7, {}]}', '{"WorldConfig": {"DisabledMods": null}}', "{" * 5000])
def test_an_invalid_configuration_does_not_hide_the_mods(root: Path, config: str) -> None:
    write_zip(root / "data" / "Mods" / "one.zip", '{"name": "One"}')
    configure(root, config)
    assert list(found(root)) == ["Mods/one.zip"]


@pytest.mark.parametrize(("entry", "enabled"), [("one", False), ("ONE@1.0.0", False), ("one@2.0.0", True), ("other", True)])
def test_mods_are_disabled_by_identifier_or_by_identifier_and_version(root: Path, entry: str, enabled: bool) -> None:
    write_zip(root / "data" / "Mods" / "one.zip", '{"name": "One", "version": "1.0.0"}')
    configure(root, json.dumps({"WorldConfig": {"DisabledMods": [entry]}}))
    assert only(root).enabled is enabled


def test_a_file_with_the_disabled_suffix_is_listed_as_disabled(root: Path) -> None:
    write_zip(root / "data" / "Mods" / "one.zip.disabled", '{"name": "One", "version": "1.0.0"}')
    mod = only(root)
    assert (mod.modinfo.modid, mod.modinfo.version, mod.enabled) == ("one", "1.0.0", False)


def test_a_huge_modinfo_is_read_only_up_to_one_megabyte(root: Path) -> None:
    with zipfile.ZipFile(root / "data" / "Mods" / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("modinfo.json", " " * 50_000_000)
    assert "larger than 1,048,576 bytes" in (only(root).problem or "")


def test_a_zip_with_a_huge_central_directory_is_not_opened(root: Path) -> None:
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 60_000, 60_000, 2**31, 0, 0)
    (root / "data" / "Mods" / "wide.zip").write_bytes(end)
    assert "central directory" in (only(root).problem or "")


def test_a_path_outside_the_zip_is_not_followed(root: Path) -> None:
    (root / "data" / "modinfo.json").write_text('{"name": "Outside"}')
    write_zip(root / "data" / "Mods" / "climber.zip", '{"name": "Climber"}', name="../modinfo.json")
    mod = only(root)
    assert mod.modinfo.name == "climber"
    assert mod.problem is not None


def test_a_modinfo_in_a_folder_of_the_zip_says_where_it_is(root: Path) -> None:
    write_zip(root / "data" / "Mods" / "nested.zip", '{"name": "Nested"}', name="nested/modinfo.json")
    assert only(root).problem == "modinfo.json is not at the root but at nested/modinfo.json, so the game ignores it"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_uncommon_compression_methods_are_not_unpacked(root: Path, method: int) -> None:
    with zipfile.ZipFile(root / "data" / "Mods" / "odd.zip", "w", method) as package:
        package.writestr("modinfo.json", '{"name": "Odd"}')
    assert "compression method" in (only(root).problem or "")


def test_pipes_and_dangling_links_are_ignored(root: Path) -> None:
    os.mkfifo(root / "data" / "Mods" / "pipe.zip")
    (root / "data" / "Mods" / "gone.zip").symlink_to("/nowhere/at/all")
    (root / "data" / "Mods" / "trap").mkdir()
    os.mkfifo(root / "data" / "Mods" / "trap" / "modinfo.json")
    assert only(root).problem == "modinfo.json is not a regular file"


def test_every_truncated_zip_is_a_problem_and_not_a_crash(root: Path) -> None:
    write_zip(root / "data" / "Mods" / "whole.zip", '{"name": "Whole"}')
    whole = (root / "data" / "Mods" / "whole.zip").read_bytes()
    for length in range(0, len(whole), 7):
        (root / "data" / "Mods" / "whole.zip").write_bytes(whole[:length])
        assert only(root).problem


def test_a_missing_data_folder_is_reported(root: Path) -> None:
    inventory = take_inventory(root / "unmounted", root / "server")
    assert not inventory.mods
    assert "VS_DATA_DIR" in inventory.unreadable[""]


def test_a_file_name_that_is_not_utf_8_can_be_stored(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root / "data" / "Mods") + b"/\xff\xfe")).mkdir()
    assert only(root).file.encode()


@pytest.mark.parametrize(
    ("text", "modid", "name", "version"),
    [
        ('{"ModID": "One", "NAME": "The One", "version": "1.0"}', "One", "The One", "1.0"),
        ('{"name": "The One!"}', "theone", "The One!", ""),
        ('{"modid": "one", "authors": "me", "side": 7, "dependencies": []}', "one", "one", ""),
        ('{"modid": "one\\u0000", "version": 1.5}', "one", "one", "1.5"),
    ],
)
def test_modinfo_is_parsed_as_the_game_does(text: str, modid: str, name: str, version: str) -> None:
    info = parse_modinfo(text.encode())
    assert (info.modid, info.name, info.version) == (modid, name, version)


@pytest.mark.parametrize("text", ["[]", "7", "{}", '{"name": "石窯"}', '{"modid": {"a": 1}}'])
def test_a_modinfo_without_identity_is_rejected(text: str) -> None:
    with pytest.raises(LenientJsonError):
        parse_modinfo(text.encode())


@given(
    st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(["modid", "Name", "version", "authors", "side", "dependencies"]),
        st.none() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_a_modinfo_or_rejected(raw: bytes) -> None:
    try:
        info = parse_modinfo(raw)
    except LenientJsonError:
        return
    assert info.modid
    assert info.name
    assert info.side in {"universal", "client", "server"}
