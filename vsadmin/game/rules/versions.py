"""Version strings of the game and of its mods, and their order.

dev < pre < rc < release, and parts compare as numbers: 1.22.0-rc.9 < 1.22.0-rc.10 < 1.22.0.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from enum import IntEnum

MAX_PART = 65_535
MAX_LENGTH = 40

_GAME = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,5}){1,3})(?:-(dev|pre|rc)\.([0-9]{1,5}))?")
_MOD = re.compile(r"\s*+[vV]?+\.?+\s*+([0-9]++(?:\.[0-9]++)*+)\.?[-_. ]?([A-Za-z]*+)[-_.]?([0-9]*+)")


class Kind(IntEnum):
    """The stage of a version; a higher number is nearer to the release."""

    DEV = 0
    PRE = 1
    RC = 2
    RELEASE = 3


_MOD_KINDS = {"": Kind.RELEASE, "rc": Kind.RC, "pre": Kind.PRE, "preview": Kind.PRE, "beta": Kind.PRE, "b": Kind.PRE}
# Letters that mark a later build of the same version, as in 1.2.0a or 1.2.0-hotfix.
_AFTER_RELEASE = {"c", "d", "e", "f", "fix", "hotfix", "patch", "post", "r", "rev", "u"}


class BadVersion(ValueError):
    """A string is not a game version."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:MAX_LENGTH]!r} is not a game version; expected something like 1.22.6 or 1.23.0-rc.1")


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A version as numbers; two versions compare as they do in the game."""

    major: int
    minor: int
    patch: int
    fourth: int
    kind: Kind
    number: int

    @property
    def line(self) -> tuple[int, int]:
        """Major and minor; versions of one line are usually compatible with each other."""
        return (self.major, self.minor)

    @property
    def is_prerelease(self) -> bool:
        return self.kind < Kind.RELEASE

    @property
    def sort_key(self) -> str:
        """A text of digits with a fixed length, so that every database and collation sorts it in the same order."""
        return "".join(f"{part:05d}" for part in astuple(self))


OLDEST = Version(0, 0, 0, 0, Kind.DEV, 0)


def _numbers(dotted: str) -> tuple[int, int, int, int]:
    # Six digits exceed MAX_PART already, and int() is slow for texts of thousands of digits.
    parts = [min(int(part[:6]), MAX_PART) for part in dotted.split(".")[:4]]
    major, minor, patch, fourth = parts + [0] * (4 - len(parts))
    return major, minor, patch, fourth


def parse_game_version(text: str) -> Version:
    """The game version that `text` names, such as 1.22.6, 1.23.0-pre.2, 1.17-pre.1 or the old 1.4.9.3; raises BadVersion."""
    match = _GAME.fullmatch(text)
    if match is None:
        raise BadVersion(text)
    dotted, kind, number = match.groups()
    return Version(*_numbers(dotted), Kind[kind.upper()] if kind else Kind.RELEASE, int(number or 0))


def read_game_version(text: str) -> Version | None:
    """Like `parse_game_version`, but None for a text that is not a game version."""
    try:
        return parse_game_version(text)
    except BadVersion:
        return None


def parse_mod_version(text: str) -> Version | None:
    """The version that a mod's author wrote, in any common spelling; None when it does not begin with a number."""
    match = _MOD.match(text)
    if match is None:
        return None
    dotted, word, number = match.groups()
    word = word.lower()
    count = min(int(number[:6] or 0), MAX_PART)
    if word in _AFTER_RELEASE:
        return Version(*_numbers(dotted), Kind.RELEASE, count + 1)
    return Version(*_numbers(dotted), _MOD_KINDS.get(word, Kind.DEV), count if word else 0)
