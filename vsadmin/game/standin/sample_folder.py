"""Creates a sample server: an install folder, and a data folder with mods of every kind, including broken ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

GAME_VERSION = "1.22.6"

ZIPS: dict[str, str] = {
    "lanternoil_2.0.3.zip": '{"type": "Code", "modid": "lanternoil", "name": "Lantern Oil", "version": "2.0.3", "authors": ["Brandvik"], "side": "Universal"}',
    # Upper-case keys, a comment, a trailing comma: authors write this, and the game accepts it.
    "quernstone_2.2.10.zip": '{\n  // water does the work\n  "Type": "code", "ModID": "quernstone", "Name": "Quernstone", "Version": "2.2.10",\n}',
    "DeepForge_4.0.0.zip": '\ufeff{"type": "Code", "modid": "DeepForge", "name": "DeepForge", "version": "4.0.0", "authors": ["kestrel9"]}',
    "stoneovens_0.8.4.zip": '{"type": "Content", "modid": "stoneovens", "name": "石窯 Stone Ovens", "version": "0.8.4", "authors": ["あかり"]}',
    "wayfarerschest_3.5.0.zip": '{"type": "Content", "modid": "wayfarerschest", "name": "Wayfarer\'s Chest", "version": "3.5.0", "authors": ["T. Quillan"]}',
    "serverbell_1.1.0.zip": "{'type': 'Code', 'modid': 'serverbell', 'name': 'Server Bell', 'version': '1.1.0', 'side': 'Server'}",
    "oldroads_0.9.0.zip": '{"type": "Content", "modid": "oldroads", "name": "Old Roads", "version": "0.9.0"}',
    "OurHouseRules.zip": '{"type": "Content", "name": "Our House Rules", "version": "1.0.0", "description": "Made by ourselves; the mod database does not know it."}',
    "broken_modinfo.zip": '{"type": "Content", "modid": "brokenmodinfo", "name": ',
}
SOURCE = """using Vintagestory.API.Common;

[assembly: ModInfo("Idle Pause", "idlepause", Version = "1.0.0", Side = "Server", Authors = new[] { "nobody" })]

public class IdlePause : ModSystem { }
"""


def build_sample(folder: Path) -> None:
    """Create `data` and `server` in `folder`; existing sample files are overwritten."""
    _build_data(folder / "data")
    _build_server(folder / "server")


def _build_data(data: Path) -> None:
    mods = data / "Mods"
    mods.mkdir(parents=True, exist_ok=True)
    for name, modinfo in ZIPS.items():
        write_zip(mods / name, modinfo)
    (mods / "nothing_at_all.zip").write_bytes(b"this was a download page, not a zip")
    (mods / "loftladders").mkdir(exist_ok=True)
    (mods / "loftladders" / "modinfo.json").write_text('{"type": "Content", "modid": "loftladders", "name": "Loft Ladders", "version": "1.0.0"}')
    (mods / "idlepause.cs").write_text(SOURCE)
    (mods / "Creating_Mods.txt").write_text("Put your mods here.\n")
    config = {
        "ServerName": "A sample server",
        "Port": 42420,
        "ModPaths": ["Mods", str(mods)],
        "DieBelowDiskSpaceMb": 400,
        "WorldConfig": {"WorldName": "A sample world", "DisabledMods": ["oldroads@0.9.0"]},
    }
    (data / "serverconfig.json").write_text(json.dumps(config, indent=2))


def _build_server(server: Path) -> None:
    (server / "assets").mkdir(parents=True, exist_ok=True)
    (server / "Mods").mkdir(exist_ok=True)
    (server / "assets" / f"version-{GAME_VERSION}.txt").touch()
    for name in (
        "VintagestoryServer.dll",
        "VintagestoryLib.dll",
        "VintagestoryAPI.dll",
        "Mods/VSSurvivalMod.dll",
        "Mods/VSCreativeMod.dll",
        "Mods/VSEssentials.dll",
    ):
        (server / name).touch()


def write_zip(path: Path, modinfo: str, name: str = "modinfo.json") -> None:
    """Write a mod package with this modinfo and one other file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(name, modinfo)
        package.writestr("assets/readme.txt", "A sample without content.")
