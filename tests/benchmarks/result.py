"""The results of a benchmark: one line of the table each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement; `met` is None if there is no target."""

    what: str
    measured: str
    target: str = ""
    met: bool | None = None
    database: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        return cls(**values)

    @property
    def verdict(self) -> str:
        return "" if self.met is None else "met" if self.met else "**missed**"


def at_most(what: str, value: float, limit: float, unit: str = "", note: str = "") -> Result:
    return Result(what, _said(value, unit, note), f"≤ {_number(limit)}{unit}", value <= limit)


def at_least(what: str, value: float, limit: float, unit: str = "", note: str = "") -> Result:
    return Result(what, _said(value, unit, note), f"≥ {_number(limit)}{unit}", value >= limit)


def plain(what: str, value: float, unit: str = "", note: str = "") -> Result:
    return Result(what, _said(value, unit, note))


def _said(value: float, unit: str, note: str) -> str:
    return f"{_number(value)}{'' if isnan(value) else unit}" + (f" ({note})" if note else "")


def _number(value: float) -> str:
    if isnan(value):
        return "nothing was measured"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


def milliseconds(values: Sequence[float]) -> str:
    return ", ".join(f"{name} {percentile(values, share) * 1000:.1f}" for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)))
