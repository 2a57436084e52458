"""Messages of `./dev`: short lines on stderr; stdout is for data."""

from __future__ import annotations

import sys
from typing import NoReturn


class Stop(Exception):
    """Ends the command with exit code 1 and this line."""


def say(text: str) -> None:
    sys.stderr.write(f"dev: {text}\n")
    sys.stderr.flush()


def stop(text: str) -> NoReturn:
    raise Stop(text)
