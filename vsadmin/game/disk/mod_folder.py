"""The folders from which the game server loads mods, and the packages in them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vsadmin.game.disk.mod_package import PackageProblem, read_folder, read_library, read_source, read_zip
from vsadmin.game.disk.modinfo import Modinfo, derive_modid
from vsadmin.game.disk.server_config import ServerConfig, read_server_config
from vsadmin.game.sanitize import clean_text

MAX_ENTRIES = 5000
DISABLED_SUFFIX = ".disabled"
"""The suffix that mod managers append to a file name to disable the mod; the game ignores such a file."""

# Part of the game itself; they have the game's version.
BUNDLED_MODS = {"vssurvivalmod.dll", "vscreativemod.dll", "vsessentials.dll"}

READERS: dict[str, Callable[[Path], Modinfo]] = {"zip": read_zip, "folder": read_folder, "cs": read_source, "dll": read_library}


@dataclass(frozen=True, slots=True)
class FoundMod:
    """One package in a mod folder; when `problem` is set, the package is unreadable and `modinfo` is guessed from the file name."""

    file: str
    kind: str
    modinfo: Modinfo
    enabled: bool
    problem: str | None = None


@dataclass(slots=True)
class Inventory:
    """All packages found; `unreadable` maps the prefix of `FoundMod.file` of a folder that could not be read to the reason."""

    mods: list[FoundMod] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    config_problem: str = ""


def mod_folders(data_dir: Path, server_dir: Path, config: ServerConfig) -> list[Path]:
    """The data folder's `Mods` and the folders in the configuration; relative paths there start at the install folder."""
    named = [server_dir / path for path in config.mod_paths] or [server_dir / "Mods"]
    folders = {os.path.realpath(folder): folder for folder in [*reversed(named), data_dir / "Mods"]}
    return list(reversed(folders.values()))


def take_inventory(data_dir: Path, server_dir: Path) -> Inventory:
    """Read every mod folder; an unreadable package or folder does not affect the others."""
    config = read_server_config(data_dir)
    inventory = Inventory(config_problem=config.problem)
    if not data_dir.is_dir():
        inventory.unreadable[""] = f"the data folder {data_dir} does not exist; set VS_DATA_DIR to the server's data path"
        return inventory
    for folder in mod_folders(data_dir, server_dir, config):
        try:
            inventory.mods.extend(_mods_in(folder, _prefix(folder, data_dir), config))
        except FileNotFoundError:
            continue  # the configuration may name folders that do not exist
        except OSError as error:
            inventory.unreadable[_prefix(folder, data_dir)] = f"{folder} cannot be read ({error.strerror})"
    return inventory


def _prefix(folder: Path, data_dir: Path) -> str:
    """The prefix of `FoundMod.file` for a folder: its path, relative to the data folder if it is inside."""
    shown = folder.relative_to(data_dir) if folder.is_relative_to(data_dir) else folder
    return clean_text(shown.as_posix(), 400) + "/"


def _mods_in(folder: Path, prefix: str, config: ServerConfig) -> Iterator[FoundMod]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for _, entry in zip(range(MAX_ENTRIES), entries, strict=False))
    for name in names:
        if kind := kind_of(folder / name):
            yield _found(folder / name, prefix, kind, config)


def kind_of(path: Path) -> str | None:
    """`zip`, `folder`, `cs` or `dll`; None for the game's own mods, hidden files, pipes, and other files."""
    name = path.name.lower()
    if name.startswith(".") or name in BUNDLED_MODS:
        return None
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(mode):
        return "folder"
    suffix = Path(name.removesuffix(DISABLED_SUFFIX)).suffix.removeprefix(".")
    return suffix if stat.S_ISREG(mode) and suffix in {"zip", "cs", "dll"} else None


def _found(path: Path, prefix: str, kind: str, config: ServerConfig) -> FoundMod:
    problem = None
    try:
        modinfo = READERS[kind](path)
    except PackageProblem as error:
        problem, modinfo = clean_text(str(error), 500), _guess(path)
    enabled = not path.name.lower().endswith(DISABLED_SUFFIX) and not config.disables(modinfo.modid, modinfo.version)
    return FoundMod(prefix + clean_text(path.name, 255), kind, modinfo, enabled, problem)


def _guess(path: Path) -> Modinfo:
    """The identity of an unreadable package: its file name without suffixes and version."""
    stem = re.sub(r"(\.(zip|cs|dll))?(\.disabled)?$", "", path.name, flags=re.IGNORECASE)
    name = clean_text(re.sub(r"[-_ ]?v?[0-9]+(\.[0-9]+)+.*$", "", stem), 200) or "unnamed"
    return Modinfo(modid=derive_modid(name) or "unnamed", name=name)
