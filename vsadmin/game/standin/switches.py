"""The stand-in's switches: how each service responds, and which simulated release comes next."""

from __future__ import annotations

import threading
from typing import Any

from vsadmin.game.standin.library import Library

MODES = ("ok", "down", "readonly", "slow", "html", "hang", "truncated")
SERVICES = ("versions", "mods")
KNOWN = {"mode", "service", "next_release", "mod_update"}


class BadSwitch(ValueError):
    """The request names a switch or a value that does not exist."""


class Switches:
    """The state that `POST /switch` changes and `GET /switch` shows."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.modes = dict.fromkeys(SERVICES, "ok")
        self.requested_paths: list[str] = []
        self.changed = threading.Event()

    def apply(self, wanted: dict[str, Any]) -> None:
        """Apply the switches in `wanted`; raises BadSwitch, without changing anything, when a name or value is unknown."""
        self._check(wanted)
        for service in [wanted["service"]] if "service" in wanted else SERVICES:
            self.modes[service] = wanted.get("mode", self.modes[service])
        if wanted.get("next_release"):
            self.library.release_next_version()
        if wanted.get("mod_update"):
            self.library.update_mod(wanted["mod_update"])
        # Release the requests that hang or drip in the old mode.
        self.changed.set()
        self.changed = threading.Event()

    def _check(self, wanted: dict[str, Any]) -> None:
        if unknown := wanted.keys() - KNOWN:
            raise BadSwitch(f"unknown: {', '.join(sorted(unknown))}; expected {', '.join(sorted(KNOWN))}")
        if wanted.get("mode", "ok") not in MODES:
            raise BadSwitch(f"unknown mode; expected one of {', '.join(MODES)}")
        if wanted.get("service", "mods") not in SERVICES:
            raise BadSwitch(f"unknown service; expected one of {', '.join(SERVICES)}")
        if wanted.get("mod_update") and not self.library.releases(wanted["mod_update"]):
            raise BadSwitch("unknown mod; expected an identifier with a release, such as lanternoil")

    def show(self) -> dict[str, Any]:
        return {"modes": self.modes, "latest": next(iter(self.library.stable)), "asked": len(self.requested_paths)}
