"""Reads the modinfo of a mod package (a zip, a folder, a .cs or a .dll) with limits against hostile files."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from vsadmin.game.disk.modinfo import MAX_MODINFO_BYTES, Modinfo, derive_modid, parse_modinfo
from vsadmin.game.exceptions import GameError

MODINFO = "modinfo.json"
MAX_DIRECTORY_BYTES = 16 * 1_048_576
"""The largest central directory of a zip that is loaded: about 200,000 files."""

# Raised by zipfile and zlib for damaged zips; NotImplementedError and RuntimeError for unknown or encrypted ones.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, struct.error, NotImplementedError, RuntimeError, OSError)

# No pattern may look for an end from each of many beginnings: a megabyte of beginnings would take hours.
_ATTRIBUTE = re.compile(r"\[\s*+assembly\s*+:\s*+ModInfo(?:Attribute)?+\s*+\(")
_ATTRIBUTE_END = re.compile(r"\)\s*+\]")
_AUTHORS = re.compile(r"Authors\s*+=\s*+new\b")
MAX_ATTRIBUTE = 20_000
MAX_AUTHORS = 2_000
"""Characters that are read of an attribute and of its list of authors."""

_STRING = r'@?"((?:[^"\\]|\\.)*+)"'
_POSITIONAL = re.compile(rf"\s*{_STRING}(?:\s*,\s*{_STRING})?")


class PackageProblem(GameError):
    """The package cannot be read as a mod."""


def read_zip(path: Path) -> Modinfo:
    """The modinfo.json at the root of a zip; raises PackageProblem."""
    try:
        _refuse_huge_directory(path)
        with zipfile.ZipFile(path) as package:
            return _parse(_zip_member(package))
    except PackageProblem:
        raise
    except ZIP_ERRORS as error:
        raise PackageProblem(f"the zip cannot be read ({error})") from error


def _refuse_huge_directory(path: Path) -> None:
    """Check the size of the central directory first, because the standard library loads all of it at once."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise PackageProblem("not a zip, or its end is missing")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise PackageProblem(f"the central directory of the zip has {directory_bytes:,} bytes, more than any mod needs")


def _zip_member(package: zipfile.ZipFile) -> bytes:
    names = {name.lower(): name for name in package.namelist()}
    if MODINFO not in names:
        nested = next((name for name in names if name.endswith(f"/{MODINFO}")), "")
        where = f"{MODINFO} is not at the root but at {names[nested]}" if nested else f"no {MODINFO} at the root"
        raise PackageProblem(f"{where}, so the game ignores it")
    member = package.getinfo(names[MODINFO])
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        # Other methods may allocate gigabytes before they return the first byte.
        raise PackageProblem(f"{MODINFO} uses a compression method that the game does not read")
    with package.open(member) as file:
        return file.read(MAX_MODINFO_BYTES + 1)


def read_folder(path: Path) -> Modinfo:
    """The modinfo.json in a folder; raises PackageProblem."""
    try:
        names = {child.name.lower(): child for child in path.iterdir() if child.name.lower() == MODINFO}
        if MODINFO not in names:
            raise PackageProblem(f"no {MODINFO}, so the game ignores it")
        return _parse(_read_regular(names[MODINFO]))
    except OSError as error:
        raise PackageProblem(f"cannot be read ({error.strerror})") from error


def read_source(path: Path) -> Modinfo:
    """The ModInfo attribute of a .cs file, else its file name; raises PackageProblem."""
    try:
        text = _read_regular(path).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise PackageProblem(f"cannot be read ({error.strerror})") from error
    begin = _ATTRIBUTE.search(text)
    end = _ATTRIBUTE_END.search(text, begin.end()) if begin else None
    return _of_attribute(text[begin.end() : end.start()][:MAX_ATTRIBUTE], path) if begin and end else read_library(path)


def read_library(path: Path) -> Modinfo:
    """The identity of a .dll from its file name; its attributes are compiled and only the game reads them."""
    return Modinfo(modid=derive_modid(path.stem) or "unnamed", name=path.stem)


def _of_attribute(arguments: str, path: Path) -> Modinfo:
    positional = _POSITIONAL.match(arguments)
    name, modid = (positional.group(1), positional.group(2) or "") if positional else (path.stem, "")
    return Modinfo(
        modid=modid or derive_modid(name) or derive_modid(path.stem) or "unnamed",
        name=name,
        version=_named(arguments, "Version"),
        description=_named(arguments, "Description"),
        side=_named(arguments, "Side"),  # type: ignore[arg-type]  # the model reads any text
        authors=re.findall(_STRING, _author_list(arguments)),
    )


def _author_list(arguments: str) -> str:
    """What is between the braces of `Authors = new[] { … }`."""
    begin = _AUTHORS.search(arguments)
    _before, _brace, after = arguments[begin.end() :].partition("{") if begin else ("", "", "")
    return after.partition("}")[0][:MAX_AUTHORS]


def _named(arguments: str, name: str) -> str:
    match = re.search(rf"\b{name}\s*+=\s*+{_STRING}", arguments)
    return match[1] if match else ""


def _read_regular(path: Path) -> bytes:
    """The first megabyte of a regular file; reading a pipe or a device might never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise PackageProblem(f"{path.name} is not a regular file")
    with path.open("rb") as file:
        return file.read(MAX_MODINFO_BYTES + 1)


def _parse(raw: bytes) -> Modinfo:
    if len(raw) > MAX_MODINFO_BYTES:
        raise PackageProblem(f"{MODINFO} is larger than {MAX_MODINFO_BYTES:,} bytes")
    try:
        return parse_modinfo(raw)
    except GameError as error:
        raise PackageProblem(f"{MODINFO} cannot be read: {error}") from error
