"""Reports progress to the current run."""

from __future__ import annotations

from jobs.exceptions import NoCurrentRun
from jobs.registry import current_run


def report_progress(done: int, total: int, text: str) -> None:
    """Show that `done` of `total` steps are finished; does nothing outside a run."""
    try:
        current_run().progress(done, total, text)
    except NoCurrentRun:
        return
