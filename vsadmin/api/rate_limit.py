"""How often one caller may ask: a bucket of tokens for each, filled evenly through the minute.

The buckets live in the process, so that a flood costs no query; with several web processes each allows the rate.
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
    """`per_minute` requests from each caller, all at once or spread."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def take(self, caller: str) -> int:
        """Count one request; returns 0 when it may pass, else the seconds to wait."""
        moment = time.monotonic()
        with self._lock:
            bucket = self._filled(caller, moment)
            if bucket.tokens < 1:
                return math.ceil((1 - bucket.tokens) * 60 / self.per_minute)
            bucket.tokens -= 1
        return 0

    def forget(self) -> None:
        """Give every caller a full bucket."""
        with self._lock:
            self._buckets.clear()

    def _filled(self, caller: str, moment: float) -> Bucket:
        if caller not in self._buckets and len(self._buckets) >= MAX_CALLERS:
            self._buckets.pop(next(iter(self._buckets)))
        bucket = self._buckets.setdefault(caller, Bucket(self.per_minute, moment))
        bucket.tokens = min(bucket.tokens + (moment - bucket.filled_at) * self.per_minute / 60, self.per_minute)
        bucket.filled_at = moment
        return bucket


rate_limit = RateLimit(settings.API_REQUESTS_PER_MINUTE)
