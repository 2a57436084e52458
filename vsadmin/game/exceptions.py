"""What can go wrong with the two upstream services and with the game's own files; each message says what to do."""

from __future__ import annotations

from collections.abc import Mapping


class GameError(Exception):
    """Base of all errors of this app."""


class VersionNotFound(GameError):
    """No such game version is known."""

    code = "VERSION_NOT_FOUND"
    status = 404

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(f"no game version {version[:40]!r} is known; GET /versions lists those that are")


class UpstreamError(GameError):
    """An upstream service did not give what it was asked for; the last good data stays."""

    is_transient = False
    """Whether asking again soon may help."""

    retry_after_seconds: float | None = None

    def __init__(self, url: str, what: str) -> None:
        self.url = url
        super().__init__(f"{url}: {what}")


class UpstreamUnreachable(UpstreamError):
    """No connection, or one that broke."""

    is_transient = True


class UpstreamTimeout(UpstreamError):
    """The answer was not complete within the deadline."""

    is_transient = True


class UpstreamStatus(UpstreamError):
    """An HTTP status that is no success."""

    def __init__(self, url: str, status: int, retry_after_seconds: float | None = None) -> None:
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.is_transient = status >= 500 or status in {408, 425, 429}
        super().__init__(url, f"answered HTTP {status}")


class UpstreamReadOnly(UpstreamStatus):
    """HTTP 503: the service is down for maintenance, or read-only."""


class UpstreamRedirected(UpstreamError):
    """A redirect that leads off the configured host, or nowhere."""


class UpstreamTooLarge(UpstreamError):
    """More bytes than an honest answer can have."""


class UpstreamNotJson(UpstreamError):
    """The body is no JSON: HTML, truncated, or nested without end."""


class UpstreamUnexpected(UpstreamError):
    """JSON of another shape than agreed, or a refusal inside an HTTP 200."""


class UpstreamUnknownMod(UpstreamError):
    """The mod database knows no such mod."""


class AllSourcesFailed(GameError):
    """A job reached none of what it was to fetch; `failures` says why, by part."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        super().__init__("nothing could be fetched; what was known stays. " + "; ".join(f"{part}: {why}" for part, why in failures.items()))


class LenientJsonError(GameError, ValueError):
    """A text is not JSON even to a lenient reader."""
