"""The app's exceptions; each message says what was wrong, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class JobsError(Exception):
    """Base of all errors of this app."""


class UnknownFunction(JobsError):
    """No function is registered under the name that a definition gives."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0)
        hint = f"the nearest registered name is {nearest[0]!r}" if nearest else "no function is registered at all"
        super().__init__(f"no job function is registered as {name!r}; {hint}")


class FunctionExists(JobsError):
    """A function asks for a name that another one has."""

    def __init__(self, name: str, first: str, second: str) -> None:
        self.name = name
        super().__init__(f"two job functions are registered as {name!r}: {first} and {second}; rename one of them")


class NoCurrentRun(JobsError):
    """`current_run()` was called outside a job function."""

    def __init__(self) -> None:
        super().__init__("current_run() only works inside a job function while a scheduler runs it")


class JobNotFound(JobsError):
    """No definition has this id."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"no job has the id {job_id!r}")


class RunNotFound(JobsError):
    """No run has this id; it may have been pruned."""

    def __init__(self, run_id: object) -> None:
        self.run_id = run_id
        super().__init__(f"no run has the id {run_id}; old runs are pruned")


class JobExists(JobsError):
    """A definition with this id exists already."""

    def __init__(self, job_id: str, *, archived: bool = False) -> None:
        self.job_id = job_id
        advice = "it is archived: restore it, or choose another id" if archived else "choose another id, or change the existing job"
        super().__init__(f"a job with the id {job_id!r} exists already; {advice}")


class RevisionMismatch(JobsError):
    """The definition was changed in between."""

    def __init__(self, job_id: str, expected: Iterable[int], current: int) -> None:
        self.job_id, self.expected, self.current = job_id, sorted(expected), current
        wanted = " or ".join(map(str, self.expected))
        reason = f"not {wanted}: it was changed in between" if wanted else "which the request does not name"
        super().__init__(f"job {job_id!r} is at revision {current}, {reason}; read it again and repeat the change")


class JobArchived(JobsError):
    """The definition is archived."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id!r} is archived; restore it first")


class IdempotencyKeyReused(JobsError):
    """An idempotency key came a second time with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the idempotency key {key!r} was used for another request; use a new key for a new request")


class IdempotencyKeyInUse(JobsError):
    """The first request with an idempotency key has not been answered yet."""

    RETRY_SECONDS = 1

    def __init__(self, key: str) -> None:
        super().__init__(f"the first request with the idempotency key {key!r} is still in progress; repeat the request to get its answer")


class RunChanged(JobsError):
    """The run has changed since the client read it."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"run {run_id} has changed in between; read it again and repeat the request")


class RunFinished(JobsError):
    """The run has ended."""

    def __init__(self, run_id: int, status: str) -> None:
        self.run_id, self.status = run_id, status
        super().__init__(f"run {run_id} has already ended ({status})")
