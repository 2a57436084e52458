"""What a scheduler costs that has nothing to do, with 100, 10,000 and 100,000 jobs."""

from __future__ import annotations

import time

from tests.benchmarks.finding import Finding, at_most, plain
from tests.benchmarks.rows import make_jobs, remove_jobs
from tests.benchmarks.stage import Stage, watch


def measure(stage: Stage) -> list[Finding]:
    sizes = (stage.count(100, 10), stage.count(10_000, 100), stage.count(100_000, 1000))
    shares, memory = {}, {}
    for size in sizes:
        remove_jobs()
        make_jobs(size, 86_400 * 300, applied=True)
        with stage.scheduler() as scheduler:
            time.sleep(stage.seconds(3, 1))
            window = watch([scheduler], stage.seconds(20))
            shares[size], memory[size] = window.cpu_seconds / window.seconds * 100, scheduler.memory_mib
    few, many, most = sizes
    growth = (shares[most] / max(shares[few], 1e-9) - 1) * 100
    return [
        at_most(f"idle scheduler, {many:,} jobs, none due: CPU", shares[many], 1, " % of a core"),
        at_most(f"idle scheduler, {many:,} jobs: memory", memory[many], 120, " MiB", f"{few:,} jobs: {memory[few]:.0f}, {most:,} jobs: {memory[most]:.0f}"),
        at_most(f"its CPU, growth from {few:,} to {most:,} jobs", growth, 10, " %", ", ".join(f"{size:,}: {share:.2f} %" for size, share in shares.items())),
        plain(f"memory, {most:,} jobs", memory[most], " MiB"),
    ]
