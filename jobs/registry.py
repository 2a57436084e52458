"""The registry of job functions by name, with the defaults of their definitions.

The database knows a function only by its name here, so a definition outlives the code it calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import structlog
from django.apps import apps
from django.conf import settings
from django.db.models import Model

from jobs.exceptions import FunctionExists, NoCurrentRun, UnknownFunction

log = structlog.get_logger()

Function = TypeVar("Function", bound=Callable[..., Any])


class CurrentRun(Protocol):
    """The interface of a run to its job function."""

    id: int
    job_id: str
    scheduled_for: datetime
    attempt: int
    kwargs: dict[str, Any]

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Show that `done` of `total` units are finished; cheap enough for every step of a loop."""

    @property
    def cancelled(self) -> bool:
        """Whether a cancellation was requested, or the time limit has passed."""

    def write_log(self, line: str) -> None:
        """Add a line to the run's own log."""


@dataclass(frozen=True, slots=True)
class JobFunction:
    """A registered function, its default definition (if it has a schedule) and how to call it."""

    name: str
    function: Callable[..., Any]
    title: str
    is_async: bool
    defaults: dict[str, Any] = field(default_factory=dict)
    setting: str = ""
    run_at_start: Callable[[], bool] | None = None

    @property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    def definition_defaults(self) -> dict[str, Any] | None:
        """The fields of the definition that this function asks for now, or None when it has no schedule.

        The Django setting named by `setting` wins over the interval in the code; 0 there means
        "not registered" and arrives as `interval_seconds` 0.
        """
        if not self.defaults:
            return None
        defaults = {"title": self.title, "function": self.name} | self.defaults
        if self.setting:
            defaults["interval_seconds"] = getattr(settings, self.setting)
        return defaults

    def bind(self, kwargs: dict[str, Any]) -> str | None:
        """Why this function can't be called with `kwargs`, or None when it can."""
        try:
            self.signature.bind(**kwargs)
        except TypeError as error:
            return f"{error}; {self.name} takes {self.signature.replace(return_annotation=inspect.Signature.empty)}"
        return None


_functions: dict[str, JobFunction] = {}
_rejected: list[FunctionExists] = []
_current_run: ContextVar[CurrentRun | None] = ContextVar("current_run", default=None)


def job(
    name: str,
    *,
    interval: timedelta | None = None,
    cron: str | None = None,
    setting: str = "",
    title: str = "",
    run_at_start: Callable[[], bool] | None = None,
    **defaults: Any,
) -> Callable[[Function], Function]:
    """Register a sync or async function as the job function `name`.

    With `interval` or `cron` a definition of the same id is made at the scheduler's start, unless it is
    there already.  `setting` names the Django setting (seconds) that overrides `interval`.  `defaults` are
    further fields of `JobDefinition`.  `run_at_start` says, when a scheduler starts, whether the job should
    run at once instead of waiting for its first slot.

    Raises FunctionExists when another function has the name.
    """

    def register(function: Function) -> Function:
        schedule: dict[str, Any] = {}
        if interval is not None:
            schedule = {"trigger": "interval", "interval_seconds": int(interval.total_seconds())}
        elif cron is not None:
            schedule = {"trigger": "cron", "cron": cron}
        entry = JobFunction(
            name=name,
            function=function,
            title=title or name.replace("_", " ").capitalize(),
            is_async=inspect.iscoroutinefunction(function),
            defaults=schedule | defaults if schedule else {},
            setting=setting,
            run_at_start=run_at_start,
        )
        known = _functions.setdefault(name, entry)
        if known.function is not function and _where(known.function) != _where(function):
            _rejected.append(error := FunctionExists(name, _where(known.function), _where(function)))
            raise error
        _functions[name] = entry
        return function

    return register


def _where(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def get_function(name: str) -> JobFunction:
    """The function registered as `name`; raises UnknownFunction, which names the nearest one."""
    try:
        return _functions[name]
    except KeyError:
        raise UnknownFunction(name, _functions) from None


def all_functions() -> list[JobFunction]:
    """Every registered function, by name."""
    return sorted(_functions.values(), key=lambda entry: entry.name)


def rejected_functions() -> list[FunctionExists]:
    """The FunctionExists errors so far, for a system check: the importer of the module may have caught one."""
    return list(_rejected)


def function_choices() -> list[tuple[str, str]]:
    """Choices for a form field; a callable, so that a new function needs no migration."""
    return [(entry.name, entry.title) for entry in all_functions()]


def unregister(name: str) -> None:
    """Forget the function registered as `name`, if there is one."""
    _functions.pop(name, None)
    _rejected[:] = [error for error in _rejected if error.name != name]


def register_default_jobs() -> list[Model]:
    """Make the definitions that registered functions ask for and the database lacks; returns the new ones.

    Existing ones take over changed defaults, except in fields that staff have changed.
    """
    # By name, because the models import this module: its path is public and stands below them.
    definitions: Any = apps.get_model("jobs", "JobDefinition").objects
    made = definitions.register_defaults()
    for definition in made:
        log.info("job_registered", job=definition.pk, function=definition.function)
    log.info("default_jobs_registered", made=len(made), total=definitions.current().count())
    return list(made)


def current_run() -> CurrentRun:
    """The run that the calling job function serves; raises NoCurrentRun anywhere else."""
    run = _current_run.get()
    if run is None:
        raise NoCurrentRun
    return run


def find_current_run() -> CurrentRun | None:
    """The run that the caller serves, or None outside a job function."""
    return _current_run.get()


def enter_run(run: CurrentRun | None) -> Token[CurrentRun | None]:
    """Make `run` the current one of this thread or task."""
    return _current_run.set(run)


def leave_run(token: Token[CurrentRun | None]) -> None:
    """Undo `enter_run`."""
    _current_run.reset(token)
