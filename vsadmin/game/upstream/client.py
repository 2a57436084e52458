"""The HTTP client for both upstream services, which does not trust their answers.

One call has one deadline for all attempts and waits.  The size limit counts decompressed bytes, so that a
decompression bomb stops at the limit.  Every failure is a subclass of UpstreamError.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx2
import stamina
from django.utils.http import parse_http_date_safe
from django.utils.timezone import now

from vsadmin import __version__
from vsadmin.game.exceptions import (
    UpstreamError,
    UpstreamNotJson,
    UpstreamReadOnly,
    UpstreamRedirected,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)
from vsadmin.game.upstream.conditional import NO_VALIDATORS, Validators

MEGABYTE = 1_048_576
FEED_BYTES = 2 * MEGABYTE
MOD_LIST_BYTES = 32 * MEGABYTE
MOD_BYTES = 4 * MEGABYTE

MAX_CONCURRENT_REQUESTS = 4
MAX_REDIRECTS = 3
USER_AGENT = f"vsadmin/{__version__} (Vintage Story server administration; contact: the operator of the server at this address)"
HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """The limits of one call: timeouts and waits in seconds, and the number of attempts."""

    deadline: float = 45.0
    connect: float = 5.0
    read: float = 10.0
    attempts: int = 3
    first_wait: float = 0.5
    longest_wait: float = 5.0


@dataclass(frozen=True, slots=True)
class FetchedJson:
    """JSON from upstream; `data` is None when it has not changed since the validators that were sent."""

    url: str
    data: Any
    validators: Validators

    @property
    def is_unchanged(self) -> bool:
        return self.data is None


@dataclass(slots=True)
class Upstream:
    """A session with one upstream service: an async context manager for one job run."""

    base_url: str
    budget: RetryBudget = field(default_factory=RetryBudget)
    _client: httpx2.AsyncClient = field(init=False)
    _semaphore: asyncio.Semaphore = field(init=False)

    async def __aenter__(self) -> Self:
        timeout = httpx2.Timeout(self.budget.read, connect=self.budget.connect, pool=self.budget.deadline)
        limits = httpx2.Limits(max_connections=MAX_CONCURRENT_REQUESTS, max_keepalive_connections=MAX_CONCURRENT_REQUESTS)
        # trust_env=False: a proxy or a .netrc of the environment must not redirect requests or add credentials.
        self._client = httpx2.AsyncClient(timeout=timeout, limits=limits, headers=HEADERS, trust_env=False, follow_redirects=False)
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._client.aclose()

    def url(self, path: str) -> str:
        return f"{self.base_url.rstrip('/')}/{path}"

    async def get_json(self, path: str, max_bytes: int, known: Validators = NO_VALIDATORS) -> FetchedJson:
        """The JSON at `path`; raises an UpstreamError."""
        url = self.url(path)
        async with self._semaphore:
            return await self._with_retries(url, lambda: self._get(url, max_bytes, known))

    async def _with_retries(self, url: str, attempt: Callable[[], Awaitable[FetchedJson]]) -> FetchedJson:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self.budget.deadline

        def backoff(error: Exception) -> bool | float:
            if not isinstance(error, UpstreamError) or not error.is_transient:
                return False
            wait = error.retry_after_seconds
            # A wait beyond the deadline would only end as a timeout: raise the real error now.
            return wait if wait is not None and wait < ends_at - loop.time() else wait is None

        caller = stamina.AsyncRetryingCaller(
            attempts=self.budget.attempts,
            timeout=self.budget.deadline,
            wait_initial=self.budget.first_wait,
            wait_max=self.budget.longest_wait,
            wait_jitter=self.budget.first_wait,
        )
        try:
            async with asyncio.timeout_at(ends_at):
                return await caller(backoff, attempt)
        except TimeoutError:
            raise UpstreamTimeout(url, f"no complete answer within {self.budget.deadline:g} s") from None

    async def _get(self, url: str, max_bytes: int, known: Validators) -> FetchedJson:
        for _ in range(MAX_REDIRECTS + 1):
            target = await self._get_once(url, max_bytes, known)
            if isinstance(target, FetchedJson):
                return target
            url = target
        raise UpstreamRedirected(url, f"more than {MAX_REDIRECTS} redirects")

    async def _get_once(self, url: str, max_bytes: int, known: Validators) -> FetchedJson | str:
        """The answer, or the target of its redirect."""
        try:
            async with self._client.stream("GET", url, headers=known.request_headers) as response:
                if response.has_redirect_location:
                    return self._redirect(response)
                if response.status_code == httpx2.codes.NOT_MODIFIED and known.request_headers:
                    return FetchedJson(url, None, known)
                if response.status_code != httpx2.codes.OK:
                    raise _bad_status(url, response)
                body = await _read(url, response, max_bytes)
                validators = Validators.of(response.headers)
        except httpx2.TimeoutException as error:
            raise UpstreamTimeout(url, f"no data for too long ({type(error).__name__})") from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise UpstreamUnreachable(url, f"connection failed or broke ({type(error).__name__}: {error})") from error
        # Parsing 32 MB takes a while, and other jobs share this event loop.
        return FetchedJson(url, await asyncio.to_thread(parse_json, url, body), validators)

    def _redirect(self, response: httpx2.Response) -> str:
        try:
            target = response.url.join(response.headers["location"])
        except httpx2.InvalidURL as error:
            raise UpstreamRedirected(str(response.url), "redirects to an invalid address") from error
        home = httpx2.URL(self.base_url)
        if (target.scheme, target.host, target.port) != (home.scheme, home.host, home.port):
            raise UpstreamRedirected(str(response.url), f"redirects to another host ({target.host[:100]}); if it has moved there, configure the new address")
        return str(target)


def _bad_status(url: str, response: httpx2.Response) -> UpstreamStatus:
    kind = UpstreamReadOnly if response.status_code == httpx2.codes.SERVICE_UNAVAILABLE else UpstreamStatus
    return kind(url, response.status_code, retry_after_seconds(response.headers.get("retry-after", "")))


def retry_after_seconds(header: str) -> float | None:
    """The wait that a Retry-After header asks for, given as seconds or as a date; None when it is missing or invalid."""
    if header.isascii() and header.isdecimal():
        return float(header[:9])
    retry_at = parse_http_date_safe(header)
    return None if retry_at is None else max(0.0, retry_at - now().timestamp())


async def _read(url: str, response: httpx2.Response, max_bytes: int) -> bytes:
    """The whole body; iterated without a chunk size, so that each chunk is counted when it arrives."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise UpstreamTooLarge(url, f"sent more than the limit of {max_bytes:,} bytes")
    return bytes(body)


def parse_json(url: str, body: bytes) -> Any:
    """The value in `body`; raises UpstreamNotJson, whose message says what the body is instead."""
    start = body.lstrip()[:1]
    if not start:
        raise UpstreamNotJson(url, "empty answer; expected JSON")
    if start == b"<":
        raise UpstreamNotJson(url, "answered HTML; expected JSON")
    try:
        data = json.loads(body)
    except RecursionError:
        raise UpstreamNotJson(url, "JSON is nested too deeply") from None
    except ValueError as error:  # also bytes that are not UTF-8, and numbers of thousands of digits
        raise UpstreamNotJson(url, f"invalid or incomplete JSON ({error})"[:300]) from None
    if data is None:
        raise UpstreamNotJson(url, "answered null; expected data")
    return data
