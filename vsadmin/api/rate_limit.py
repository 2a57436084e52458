"""Rate limit by token bucket, one bucket for each caller.

The buckets live in the process, so that a flood costs no query; each of several web processes allows the full rate.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass

from django.conf import settings

MAX_CALLERS = 10_000


@dataclass(slots=True)
class Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """Allows each caller `per_minute` requests in a minute, in a burst or spread."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def take(self, caller: str) -> int:
        """Take a token for one request; 0 when there was one, else the seconds until there is."""
        now = time.monotonic()
        with self._lock:
            bucket = self._refill(caller, now)
            if bucket.tokens < 1:
                return math.ceil((1 - bucket.tokens) * 60 / self.per_minute)
            bucket.tokens -= 1
        return 0

    def give_back(self, caller: str) -> None:
        """Return a token that was taken for a request which does not count."""
        with self._lock:
            if bucket := self._buckets.get(caller):
                bucket.tokens = min(bucket.tokens + 1, self.per_minute)

    def forget(self) -> None:
        """Give every caller a full bucket."""
        with self._lock:
            self._buckets.clear()

    def _refill(self, caller: str, now: float) -> Bucket:
        if caller not in self._buckets and len(self._buckets) >= MAX_CALLERS:
            self._buckets.pop(next(iter(self._buckets)))
        bucket = self._buckets.setdefault(caller, Bucket(self.per_minute, now))
        bucket.tokens = min(bucket.tokens + (now - bucket.filled_at) * self.per_minute / 60, self.per_minute)
        bucket.filled_at = now
        return bucket


rate_limit = RateLimit(settings.API_REQUESTS_PER_MINUTE)
