"""Errors of the two upstream services and of the game's own files."""

from __future__ import annotations

from collections.abc import Mapping


class GameError(Exception):
    """Base of all errors of this app."""


class VersionNotFound(GameError):
    """The requested game version is not in the table."""

    code = "VERSION_NOT_FOUND"
    status = 404

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(f"unknown game version {version[:40]!r}; GET /versions lists the known ones")


class UpstreamError(GameError):
    """An upstream service did not deliver usable data; the data of the last good answer stays stored."""

    is_transient = False
    """Whether a retry after a short wait may succeed."""

    retry_after_seconds: float | None = None

    def __init__(self, url: str, what: str) -> None:
        self.url = url
        super().__init__(f"{url}: {what}")


class UpstreamUnreachable(UpstreamError):
    """The connection failed or broke."""

    is_transient = True


class UpstreamTimeout(UpstreamError):
    """The answer was not complete within the deadline."""

    is_transient = True


class UpstreamStatus(UpstreamError):
    """The HTTP status is not a success."""

    def __init__(self, url: str, status: int, retry_after_seconds: float | None = None) -> None:
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.is_transient = status >= 500 or status in {408, 425, 429}
        super().__init__(url, f"answered HTTP {status}")


class UpstreamReadOnly(UpstreamStatus):
    """HTTP 503: the service is down for maintenance, or read-only."""


class UpstreamRedirected(UpstreamError):
    """The redirect leads to another host, to an invalid address, or in a loop."""


class UpstreamTooLarge(UpstreamError):
    """The answer exceeds the size limit of its kind."""


class UpstreamNotJson(UpstreamError):
    """The body is not JSON: HTML, truncated, or nested too deeply."""


class UpstreamUnexpected(UpstreamError):
    """The JSON has another structure than expected, or reports an error inside an HTTP 200."""


class UpstreamUnknownMod(UpstreamError):
    """The mod database does not have this mod."""


class AllSourcesFailed(GameError):
    """Every source of a job failed; `failures` maps each source to its error."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        super().__init__("nothing could be fetched; the stored data is unchanged. " + "; ".join(f"{source}: {reason}" for source, reason in failures.items()))


class LenientJsonError(GameError, ValueError):
    """The text is not JSON, not even for a lenient parser."""
