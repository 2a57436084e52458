"""Logging: structlog for our own events, and lines of the same shape for Django, gunicorn and the libraries.

Every line is one JSON object on stderr, or coloured text when stderr is a terminal.
"""

from __future__ import annotations

import json
import logging.config
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

from jobs.registry import find_current_run
from jobs.run_log import copy_to_run, name_run
from vsadmin.log_writer import log_writer_factory


def _dumps(event: object, **_: object) -> str:
    return _dump_bytes(event).decode()


def _dump_bytes(event: object, **_: object) -> bytes:
    try:
        return orjson.dumps(event, default=_text, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
    except TypeError:  # half a surrogate pair, an integer of 65 bits: better a line of texts than no line
        fields = event.items() if isinstance(event, dict) else [("event", event)]
        return json.dumps({_text(name): _text(value) for name, value in fields}).encode()


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 -- a value whose __str__ raises must not make the log call raise
        return f"<{type(value).__name__}>"


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        name_run,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _drop_colour(_logger: object, _method: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn's message a second time, with escape codes
    return event


# Local variables may be secrets: they stay out of the log.
_tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
_stack = structlog.processors.StackInfoRenderer()


def _renderers() -> list[Processor]:
    if sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [_tracebacks, structlog.processors.JSONRenderer(serializer=_dumps)]


def logging_settings(level: str) -> dict[str, Any]:
    """The dictionary for `logging.config`: one handler on stderr, one formatter for all."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*_shared_processors(), structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), _drop_colour],
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers()],
            },
        },
        "handlers": {"stderr": {"class": "vsadmin.log_writer.LogWriterHandler", "stream": "ext://sys.stderr", "formatter": "structlog"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Its INFO lines cost more than a whole claim, and repeat our own two events of each run.
            "apscheduler": {"level": "WARNING"},
            # Our middleware logs each request and each exception with the request's id; these would repeat it.
            "django.request": {"level": "CRITICAL"},
            "httpx2": {"level": "WARNING"},
            "httpcore2": {"level": "WARNING"},
            # These install handlers of their own, which would write another format.
            **{name: {"handlers": [], "propagate": True} for name in ("django", "gunicorn.error", "uvicorn", "uvicorn.error")},
            **{name: {"handlers": [], "propagate": True, "level": "WARNING"} for name in ("django.server", "gunicorn.access", "uvicorn.access")},
        },
    }


def configure(settings: dict[str, Any]) -> None:
    """Configure the standard library's logging from `settings`, and structlog to write the same lines directly.

    Through the standard library an event costs 30 µs more, the largest single cost of a run.
    """
    logging.config.dictConfig(settings)
    logging.captureWarnings(capture=True)
    shown = sys.stderr.isatty()
    structlog.configure(
        processors=[*_shared_processors(), copy_to_run, _stack, *_renderers()] if shown else [_json_line],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr) if shown else log_writer_factory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings["root"]["level"]]),
        cache_logger_on_first_use=True,
    )


def _json_line(logger: object, method: str, event: EventDict) -> bytes:
    """The same line as the processors above make, in one function: a run logs two events, and each processor costs a call for each."""
    event = structlog.contextvars.merge_contextvars(logger, method, event)
    event["level"] = method
    if find_current_run() is not None:
        copy_to_run(logger, method, name_run(logger, method, event))
    event["timestamp"] = datetime.now(UTC)
    if "exc_info" in event or "stack_info" in event:
        event = _tracebacks(logger, method, _stack(logger, method, event))
    return _dump_bytes(event)
