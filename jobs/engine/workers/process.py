"""What every process that executes runs does at its start and at its end."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from typing import Any, NoReturn

import structlog
from django.db import connections

log = structlog.get_logger()

SWITCH_SECONDS = 0.001
"""A job function that computes lets go of the interpreter this often; Python's own 5 ms would delay each step of a short run."""

PR_SET_PDEATHSIG = 1


def _let_go_of_fork_server() -> None:
    """Close the pipe that keeps the fork server alive: multiprocessing hands it to every process, so that each may fork more."""
    server: Any = forkserver._forkserver  # there is no public way
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None


def end_with(serve: Callable[[], None]) -> None:
    """Call `serve` and end the process, whatever threads a job function has left in it."""
    code = 1
    try:
        serve()
        code = 0
    except ConnectionError:
        pass  # the scheduler is gone
    except BaseException as error:
        log.exception("worker_failed", error=f"{type(error).__name__}: {error}")
    finally:
        logging.shutdown()  # writes the log lines that wait
        os._exit(code)


def end_group() -> NoReturn:
    """Kill this process and every program that job functions have started in its group."""
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def detach() -> None:
    """Make this process the leader of its own group, and end it with the fork server, which ends with the scheduler.

    A thread that waits for the end of the pipe would not be enough: a job function may hold the interpreter.
    """
    os.setsid()
    _let_go_of_fork_server()
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the fork server ended in between
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_SECONDS)
    connections.close_all()
