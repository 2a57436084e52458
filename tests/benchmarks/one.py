"""One benchmark on one database: `python -m tests.benchmarks.one NAME [--quick] [--peers] FOLDER`; prints its results as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import django

NAMES = ("throughput", "lateness", "burst", "edits", "idle", "start", "pair", "probes", "lists", "pruning", "isolation")


def main(name: str, folder: str, *flags: str) -> None:
    django.setup()
    from tests.benchmarks import edits, idle, isolation, lateness, lists, pair, probes, pruning, start, throughput
    from tests.benchmarks.result import Result
    from tests.benchmarks.setup import Setup

    measures: dict[str, Callable[[Setup], list[Result]]] = {
        "throughput": throughput.measure,
        "lateness": lateness.measure,
        "burst": lateness.measure_burst,
        "edits": edits.measure,
        "idle": idle.measure,
        "start": start.measure,
        "pair": pair.measure,
        "probes": probes.measure,
        "lists": lists.measure,
        "pruning": pruning.measure,
        "isolation": isolation.measure,
    }
    setup = Setup(os.environ["VS_DATABASE_URL"], Path(folder), quick="--quick" in flags, peers="--peers" in flags)
    sys.stdout.write(json.dumps([result.to_json() for result in measures[name](setup)]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
