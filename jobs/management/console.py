"""What commands print: JSON for programs, or text in which foreign control characters do nothing to the terminal."""

from __future__ import annotations

import getpass
import json
import os
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand

_KEPT = "\n\t"
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""C0 and C1, which begin escape sequences; separators that end a line for some programs; those that turn the direction of text."""
_ESCAPES = {code: f"\\u{code:04x}" for code in _CONTROLS if chr(code) not in _KEPT}


def printable(text: str) -> str:
    """`text` with control characters written as in JSON; line breaks and tabs stay."""
    return text.translate(_ESCAPES)


def one_line(text: str) -> str:
    """`printable`, with line breaks and tabs as spaces."""
    return printable(" ".join(text.split()) if any(kept in text for kept in _KEPT) else text)


def user_of_process() -> str:
    """The name of the user who runs the command; `uid 12345` where the machine has none for it, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        return f"uid {os.getuid()}"


class ConsoleCommand(BaseCommand):
    """A command whose data goes to stdout, with `--json` as one JSON value."""

    def show(self, options: dict[str, Any], data: Any, text: str) -> None:
        """Print `data` with `--json`, else `text`."""
        written = json.dumps(data, default=_json_default, ensure_ascii=False) if options["json"] else text
        self.stdout.write(printable(written))


def _json_default(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
