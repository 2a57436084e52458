"""What goes wrong inside the engine."""

from __future__ import annotations


class RowLost(Exception):
    """What this instance has claimed is not its own any more: it was taken for dead, or the database went back in time.

    Its row is gone or older than what it has written, or the id of a run in progress was given to another.
    """
