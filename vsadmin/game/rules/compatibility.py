"""Which release of a mod fits which game: pure rules, no rows.

Authors tick exact game versions by hand.  A release ticked for the very version that runs is *compatible*;
one ticked for another version of the same line (1.22.x), or for none, is *not verified*, because the game
itself accepts any version of its line; one ticked only for other lines is *incompatible*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vsadmin.game.rules.versions import Version, parse_mod_version, read_game_version

COMPATIBLE, NOT_VERIFIED, INCOMPATIBLE, UNKNOWN = "compatible", "not_verified", "incompatible", "unknown"


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What matters of a release here."""

    version: str
    game_versions: Sequence[str]
    has_file: bool = True


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of an installed mod, given its releases and the game it runs in."""

    latest: str = ""
    latest_compatible: str = ""
    update_available: bool = False
    compatibility: str = UNKNOWN


def fits(game_versions: Sequence[str], game: Version) -> str:
    """How well a release ticked for `game_versions` fits `game`."""
    ticked = [version for text in game_versions if (version := read_game_version(text))]
    if game in ticked:
        return COMPATIBLE
    if not ticked or any(version.line == game.line for version in ticked):
        return NOT_VERIFIED
    return INCOMPATIBLE


def _highest(releases: Sequence[ReleaseFacts], *, prereleases: bool) -> ReleaseFacts | None:
    """The highest version, not the last upload.  Pre-releases count for who runs one, or when there is nothing else."""
    versioned = [(version, release) for release in releases if release.has_file and (version := parse_mod_version(release.version))]
    finished = [(version, release) for version, release in versioned if not version.is_prerelease]
    candidates = versioned if prereleases or not finished else finished
    return max(candidates, key=lambda pair: pair[0])[1] if candidates else None


def _too_old(game: Version, minimum: str) -> bool:
    needed = read_game_version(minimum)
    return needed is not None and game < needed


def assess(releases: Sequence[ReleaseFacts], installed: str, game_version: str, game_minimum: str = "") -> Assessment:
    """The assessment on the installed version of a mod; `game_version` "" means that the game's version is not known."""
    game = read_game_version(game_version)
    mine = parse_mod_version(installed)
    prereleases = mine is not None and mine.is_prerelease
    latest = _highest(releases, prereleases=prereleases)
    fitting = _latest_fitting(releases, game, prereleases=prereleases) if game else None
    target = fitting if game else latest
    offered = parse_mod_version(target.version) if target else None
    return Assessment(
        latest=latest.version if latest else "",
        latest_compatible=fitting.version if fitting else "",
        update_available=bool(mine and offered and offered > mine),
        compatibility=_compatibility(releases, mine, game, game_minimum),
    )


def _latest_fitting(releases: Sequence[ReleaseFacts], game: Version, *, prereleases: bool) -> ReleaseFacts | None:
    for wanted in (COMPATIBLE, NOT_VERIFIED):
        matching = [release for release in releases if release.game_versions and fits(release.game_versions, game) == wanted]
        if best := _highest(matching, prereleases=prereleases):
            return best
    return None


def _compatibility(releases: Sequence[ReleaseFacts], mine: Version | None, game: Version | None, game_minimum: str) -> str:
    if game is None:
        return UNKNOWN
    if _too_old(game, game_minimum):
        return INCOMPATIBLE
    same = [release for release in releases if mine is not None and parse_mod_version(release.version) == mine]
    return fits(same[0].game_versions, game) if same else UNKNOWN
