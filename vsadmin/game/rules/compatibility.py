"""Whether a release of a mod is compatible with a game version.

Authors tick exact game versions by hand in the mod database.  A release that is ticked for the installed game version is
*compatible*.  A release that is ticked for another version of the same line (1.22.x), or for no version, is *not verified*:
the game itself accepts any version of its line.  A release that is ticked only for other lines is *incompatible*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vsadmin.game.rules.versions import Version, parse_mod_version, read_game_version

COMPATIBLE, NOT_VERIFIED, INCOMPATIBLE, UNKNOWN = "compatible", "not_verified", "incompatible", "unknown"


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """The part of a release that decides compatibility; `has_file` is False when the download is lost upstream."""

    version: str
    game_versions: Sequence[str]
    has_file: bool = True


@dataclass(frozen=True, slots=True)
class Assessment:
    """An installed mod compared with its releases and the installed game version; "" where a version is unknown."""

    latest: str = ""
    latest_compatible: str = ""
    update_available: bool = False
    compatibility: str = UNKNOWN


def fits(game_versions: Sequence[str], game: Version) -> str:
    """The compatibility of a release that is ticked for `game_versions` with the version `game`."""
    ticked = [version for text in game_versions if (version := read_game_version(text))]
    if game in ticked:
        return COMPATIBLE
    if not ticked or any(version.line == game.line for version in ticked):
        return NOT_VERIFIED
    return INCOMPATIBLE


def _highest(releases: Sequence[ReleaseFacts], *, prereleases: bool) -> ReleaseFacts | None:
    """The release with the highest version, which need not be the last upload; pre-releases count if `prereleases`, or if nothing else exists."""
    versioned = [(version, release) for release in releases if release.has_file and (version := parse_mod_version(release.version))]
    finished = [(version, release) for version, release in versioned if not version.is_prerelease]
    candidates = versioned if prereleases or not finished else finished
    return max(candidates, key=lambda pair: pair[0])[1] if candidates else None


def _too_old(game: Version, minimum: str) -> bool:
    needed = read_game_version(minimum)
    return needed is not None and game < needed


def assess(releases: Sequence[ReleaseFacts], installed: str, game_version: str, game_minimum: str = "") -> Assessment:
    """Compare the `installed` version of a mod with its releases; `game_version` is "" when the game's version is unknown."""
    game = read_game_version(game_version)
    installed_version = parse_mod_version(installed)
    prereleases = installed_version is not None and installed_version.is_prerelease
    latest = _highest(releases, prereleases=prereleases)
    fitting = _latest_fitting(releases, game, prereleases=prereleases) if game else None
    target = fitting if game else latest
    offered = parse_mod_version(target.version) if target else None
    return Assessment(
        latest=latest.version if latest else "",
        latest_compatible=fitting.version if fitting else "",
        update_available=bool(installed_version and offered and offered > installed_version),
        compatibility=_compatibility(releases, installed_version, game, game_minimum),
    )


def _latest_fitting(releases: Sequence[ReleaseFacts], game: Version, *, prereleases: bool) -> ReleaseFacts | None:
    for wanted in (COMPATIBLE, NOT_VERIFIED):
        matching = [release for release in releases if release.game_versions and fits(release.game_versions, game) == wanted]
        if best := _highest(matching, prereleases=prereleases):
            return best
    return None


def _compatibility(releases: Sequence[ReleaseFacts], installed_version: Version | None, game: Version | None, game_minimum: str) -> str:
    if game is None:
        return UNKNOWN
    if _too_old(game, game_minimum):
        return INCOMPATIBLE
    same = [release for release in releases if installed_version is not None and parse_mod_version(release.version) == installed_version]
    return fits(same[0].game_versions, game) if same else UNKNOWN
