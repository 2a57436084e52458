"""What the commands that have several actions share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

NOT_FOUND = 3
"""The exit code for an id that does not exist."""

AddAction = Callable[[str, Callable[..., Any], str], CommandParser]


def actions_of(parser: CommandParser) -> AddAction:
    """A function that adds an action by name, method and help text.

    Every action accepts `--json`; the option `run_action` holds the method of the chosen action.
    """
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(name: str, action: Callable[..., Any], text: str) -> CommandParser:
        subparser: CommandParser = actions.add_parser(name, help=text, description=text)
        subparser.add_argument("--json", action="store_true", help="print one JSON value")
        subparser.set_defaults(run_action=action)
        return subparser

    return add


def iso_time(text: str) -> datetime:
    """A time in ISO 8601, in the site's zone unless it names one; raises ValueError."""
    parsed = parse_datetime(text)
    if parsed is None:
        raise ValueError(text)
    return make_aware(parsed) if is_naive(parsed) else parsed
