"""What a scheduler costs that has nothing to do, with 100, 10,000 and 100,000 jobs."""

from __future__ import annotations

import time
from collections import defaultdict
from statistics import median

from jobs.models import JobDefinition
from tests.benchmarks.result import Result, at_most, plain
from tests.benchmarks.rows import make_jobs, remove_jobs
from tests.benchmarks.setup import Setup, watch


def measure(setup: Setup) -> list[Result]:
    sizes = few, many, most = setup.count(100, 10), setup.count(10_000, 100), setup.count(100_000, 1000)
    windows: dict[int, list[float]] = defaultdict(list)
    memory: dict[int, float] = {}
    # There and back: a machine that gets slower or quicker meanwhile does so for all of them.
    for size in (*sizes, *reversed(sizes)):
        if JobDefinition.objects.count() != size:
            remove_jobs()
            make_jobs(size, 86_400 * 300, applied=True)
        with setup.scheduler() as scheduler:
            time.sleep(setup.seconds(3, 1))
            for _ in range(setup.count(3, 1)):
                window = watch([scheduler], setup.seconds(5))
                windows[size].append(window.cpu_seconds / window.seconds * 100)
            memory[size] = scheduler.memory_mib
    shares = {size: median(windows[size]) for size in sizes}
    growth = (shares[most] / max(shares[few], 1e-9) - 1) * 100
    return [
        at_most(f"idle scheduler, {many:,} jobs, none due: CPU", shares[many], 1, " % of a core", f"median of {len(windows[many])} windows"),
        at_most(f"idle scheduler, {many:,} jobs: memory with its workers", memory[many], 160, " MiB", f"{few:,}: {memory[few]:.0f}, {most:,}: {memory[most]:.0f}"),
        at_most(f"its CPU, growth from {few:,} to {most:,} jobs", growth, 10, " %", ", ".join(f"{size:,}: {share:.2f} %" for size, share in shares.items())),
        plain(f"memory, {most:,} jobs", memory[most], " MiB"),
    ]
