"""What apps tell the probes: blocks of `/healthz` and reasons against `/readyz`.

An app registers in its `AppConfig.ready()`.  Each function runs in a guarded thread of its own, with a deadline:
one that raises or hangs is answered by its fallback, and never delays the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Block = Callable[[], dict[str, Any]]
Probe = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class RegisteredBlock:
    """A function whose keys are merged into the data of `/healthz`, and what stands there when it can't say."""

    read: Block
    fallback: Mapping[str, Any] = field(default_factory=dict)


blocks: dict[str, RegisteredBlock] = {}
probes: dict[str, Probe] = {}


def register_block(name: str, block: Block, fallback: Mapping[str, Any] | None = None) -> None:
    """Merge the keys that `block()` returns into the data of `/healthz`; the same name again replaces it.

    `fallback` is merged instead when it raises or takes too long.
    """
    blocks[name] = RegisteredBlock(block, fallback or {})


def register_probe(name: str, probe: Probe) -> None:
    """Let `/readyz` ask `probe()`, which returns why this process should get no traffic, or None."""
    probes[name] = probe
