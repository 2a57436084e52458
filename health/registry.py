"""The blocks of `/healthz` and the conditions of `/readyz` that other apps register, in their `AppConfig.ready()`.

Each function runs in a background thread with a deadline: one that raises or hangs never delays the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Block = Callable[[], dict[str, Any]]
Probe = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class RegisteredBlock:
    read: Block
    fallback: Mapping[str, Any] = field(default_factory=dict)


blocks: dict[str, RegisteredBlock] = {}
probes: dict[str, Probe] = {}


def register_block(name: str, block: Block, fallback: Mapping[str, Any] | None = None) -> None:
    """Merge the keys that `block()` returns into the data of `/healthz`; registering a name again replaces its block.

    `fallback` is merged instead when the function raises or misses the deadline.
    """
    blocks[name] = RegisteredBlock(block, fallback or {})


def register_probe(name: str, probe: Probe) -> None:
    """Let `/readyz` call `probe()`, which returns why this process should get no requests, or None."""
    probes[name] = probe
