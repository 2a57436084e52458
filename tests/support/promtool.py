"""Time series for docs/alerts.yml, as `promtool test rules` reads them, and the alerts that are to fire on them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import REPOSITORY

PROMTOOL = shutil.which("promtool")
ALERTS = REPOSITORY / "docs" / "alerts.yml"
MINUTE, HOUR, DAY = 1, 60, 1440
"""Minutes, in which promtool's times are given here; it begins at the time 0 of Unix."""

Value = float | None
Changes = Mapping[int, Value]
"""Minute to the value from then on; None: the target does not answer, or does not expose the series."""


@dataclass
class Target:
    """What Prometheus scrapes from one process of an installation."""

    instance: str = "a:8000"
    environment: str = "production"
    series: dict[str, Changes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add("vsadmin_build_info", {0: 1}, version="1", python="3", vsadmin_environment=self.environment)
        self.add("vsadmin_scheduler_up", {0: 1})
        self.add("up", {0: 1})

    def add(self, name: str, changes: Changes, **labels: str) -> None:
        pairs = {"job": "vsadmin", "instance": self.instance} | labels
        self.series[f"{name}{{{', '.join(f'{label}={value!r}' for label, value in pairs.items())}}}".replace("'", '"')] = changes

    def job(self, job_id: str, *, interval: int | None, successes: Sequence[int] = (), failures: Sequence[int] = (), status: str = "failed", **others: Any) -> None:
        """A job with an interval in minutes, and the minutes at which its runs end."""
        self.add("vsadmin_job_enabled", others.get("enabled", {0: 1}), job_id=job_id)
        self.add("vsadmin_job_overdue", others.get("overdue", {0: 0}), job_id=job_id)
        trigger = others.get("trigger", "interval" if interval else "manual")
        self.add("vsadmin_job_info", {0: 1}, job_id=job_id, title="", function="f", trigger=trigger)
        if interval:
            self.add("vsadmin_job_interval_seconds", {0: 60 * interval}, job_id=job_id)
        if successes:
            self.add("vsadmin_job_last_success_timestamp_seconds", {at: 60 * at for at in successes}, job_id=job_id)
            self.add("vsadmin_job_runs_total", {at: number for number, at in enumerate(successes, 1)}, job_id=job_id, status="succeeded")
        if failures:
            self.add("vsadmin_job_last_failure_timestamp_seconds", {at: 60 * at for at in failures}, job_id=job_id, status=status)
            self.add("vsadmin_job_runs_total", {at: number for number, at in enumerate(failures, 1)}, job_id=job_id, status=status)


def alert(name: str, **labels: str) -> str:
    """An alert that fires, as promtool writes it."""
    pairs = {"alertname": f"Vsadmin{name}"} | labels
    return "{" + ", ".join(f'{label}="{value}"' for label, value in sorted(pairs.items())) + "}"


def expect_alerts(folder: Path, targets: Sequence[Target], expected: Mapping[int, Sequence[str]], step: int = 1) -> None:
    """Fail unless exactly the expected alerts fire at each of these minutes; there is a sample every `step` minutes."""
    until = max(expected) + step
    series = [{"series": name, "values": _values(changes, step, until)} for target in targets for name, changes in target.series.items()]
    expr = 'group by (alertname, installation, instance, job_id) (ALERTS{alertstate="firing"})'
    checks = [
        {"expr": expr, "eval_time": f"{minute}m", "exp_samples": [{"labels": labels, "value": 1} for labels in sorted(alerts)]} for minute, alerts in expected.items()
    ]
    tests = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": f"{step}m",
        "tests": [{"interval": f"{step}m", "input_series": series, "promql_expr_test": checks}],
    }
    path = folder / "rules_test.yml"
    path.write_text(yaml.safe_dump(tests))
    ran = subprocess.run([str(PROMTOOL), "test", "rules", str(path)], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _values(changes: Changes, step: int, until: int) -> str:
    """promtool's notation: `5x9` is ten samples of 5, `_x9` nine gaps, and `stale` ends a series as a failed scrape does."""
    times = sorted(at for at in changes if at <= until)
    if not times:
        return "_"
    parts = [f"_x{times[0] // step}"] if times[0] else []
    for at, following in zip(times, [*times[1:], until + step], strict=True):
        value, samples = changes[at], following // step - at // step
        if not samples:
            continue
        if value is not None:
            parts.append(f"{value}x{samples - 1}")
        else:
            parts += ["stale", f"_x{samples - 1}"] if samples > 1 else ["stale"]
    return " ".join(parts)
