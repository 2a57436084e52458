"""Types and limits that the game's tests share with the fixture `run_job`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vsadmin.game.upstream.client import RetryBudget

RunJob = Callable[[str], dict[str, Any]]

SHORT_BUDGET = RetryBudget(deadline=3.0, connect=1.0, read=0.8, attempts=2, first_wait=0.01, longest_wait=0.05)
