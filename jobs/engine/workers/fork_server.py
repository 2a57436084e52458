"""Starts processes from a warm fork server: one that has loaded Django and the apps' `jobs` modules, and opened nothing."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PYTHONPATH_BEFORE = "JOBS_PYTHONPATH_BEFORE"

_context: ForkServerContext | None = None


def start_process(target: Callable[..., None], *arguments: Any, name: str) -> BaseProcess:
    """Start a process that calls `target`; the first call starts the fork server, which takes as long as loading Django.

    Call it from one thread.  Not a daemon, in multiprocessing's sense: a job function may start processes of its own.
    """
    process = _warm_context().Process(target=target, args=arguments, name=name, daemon=False)
    with _importable():
        try:
            process.start()
        except EOFError as error:
            raise ConnectionAbortedError("the fork server ended while it started a process") from error
    return process


def _warm_context() -> ForkServerContext:
    global _context  # noqa: PLW0603 -- one fork server a process
    if _context is None:
        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload(["jobs.engine.workers.warm"])
    return _context


@contextmanager
def _importable() -> Iterator[None]:
    """Let the fork server import what this process can, and not this program's main module.

    Python 3.11 gives the fork server neither our `sys.path` nor a word when it could not import what it was to preload;
    `warm` gives PYTHONPATH its value back, for the programs that job functions start.  A worker has no use for the main
    module, which may have no guard against being imported.
    """
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    before = os.environ.get("PYTHONPATH")
    os.environ[PYTHONPATH_BEFORE] = before or ""
    os.environ["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    try:
        main.__spec__ = None
        if "__file__" in hidden:
            del main.__file__
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)
        restore_python_path()


def restore_python_path() -> None:
    """Give PYTHONPATH the value that it had before the fork server was started."""
    if before := os.environ.pop(PYTHONPATH_BEFORE, ""):
        os.environ["PYTHONPATH"] = before
    else:
        os.environ.pop("PYTHONPATH", None)
