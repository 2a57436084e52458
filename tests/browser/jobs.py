"""Job functions of the demo site."""

from __future__ import annotations

from threading import Event

import structlog

from jobs.registry import current_run, job

log = structlog.get_logger()
STEP_SECONDS = 0.4


@job("pack_world", title="Pack the world")
def pack_world(world: str = "home", steps: int = 5, *, compress: bool = True) -> dict[str, object]:
    """Report progress for a few seconds."""
    run = current_run()
    for step in range(1, steps + 1):
        log.info("packed", chunk=step, world=world)
        run.progress(step, steps, f"chunk {step}")
        Event().wait(STEP_SECONDS)
    return {"world": world, "chunks": steps, "compressed": compress}


@job("break_something", title="Break something")
def break_something() -> None:
    raise ConnectionError("the mod database did not answer within 10 s")
