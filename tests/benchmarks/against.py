"""Two checkouts measured in turns in one run, so that a machine that becomes slower does so for both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from tests.benchmarks.databases import Database
from tests.benchmarks.measure import measure
from tests.benchmarks.result import Result

NUMBER = re.compile(r"^-?[\d,]+(?:\.\d+)?")


def compare(databases: tuple[Database, Database], name: str, rounds: int, folder: Path, flags: Sequence[str]) -> Iterator[str]:
    """Lines with the ratio of this checkout (the second database) to the other one, for each result of the benchmark."""
    turns = [[measure(database, name, folder, flags) for database in databases] for _ in range(rounds)]
    yield from ratios([(theirs, ours) for theirs, ours in turns])


def ratios(turns: Sequence[tuple[Sequence[Result], Sequence[Result]]]) -> Iterator[str]:
    """Pairs of results by position, because wordings may differ between checkouts."""
    for position, result in enumerate(turns[0][1]):
        pairs = [(number(theirs[position]), number(ours[position])) for theirs, ours in turns if position < min(len(theirs), len(ours))]
        numbers = [(theirs, ours) for theirs, ours in pairs if theirs and ours is not None]
        if len(numbers) < len(turns):
            yield f"{result.database:<11}{'-':>6}  {result.what}: not measured in every round"
            continue
        each = sorted(ours / theirs for theirs, ours in numbers)
        theirs, ours = (median(values) for values in zip(*numbers, strict=True))
        spread = f"{each[0]:.3f} to {each[-1]:.3f}"
        yield f"{result.database:<11}{median(each):>6.3f}  {result.what}: {theirs:,.2f} before, {ours:,.2f} now ({spread} in {len(each)} rounds)"


def number(result: Result) -> float | None:
    """The number that a result begins with, or None."""
    found = NUMBER.match(result.measured)
    return float(found[0].replace(",", "")) if found else None
