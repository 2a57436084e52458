"""Idempotency keys: the answer to a request is kept for a day, in the transaction that acted, and given again to the same request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.db.models import Q

from jobs.clock import database_now
from jobs.exceptions import IdempotencyKeyInUse, IdempotencyKeyReused
from jobs.models.readable import ReadableModel, ReadableQuerySet

KEPT_FOR = timedelta(hours=24)
WAIT_SECONDS = 5.0
"""For a request that came before with the same key and has not been answered yet."""

LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """What a caller sent with a key; `target` is the job's id, `caller_name` the one in histories."""

    caller: str
    caller_name: str
    key: str
    operation: str
    target: str
    fields: dict[str, Any]

    @property
    def sha256(self) -> str:
        sent = json.dumps([self.operation, self.target, self.fields], sort_keys=True)
        return hashlib.sha256(sent.encode()).hexdigest()


class _KeyTaken(Exception):
    """Another request with this key was answered in the meantime."""


class IdempotencyKeyQuerySet(ReadableQuerySet["IdempotencyKey"]):
    def expired(self, now: datetime) -> IdempotencyKeyQuerySet:
        """Keys that are no longer known."""
        return self.filter(created_at__lte=now - KEPT_FOR)

    def answer_once(self, request: KeyedRequest, act: Callable[[], str]) -> tuple[str, bool]:
        """The answer of `act`, and False; or the answer that this request got before, and True.

        A request that comes meanwhile waits for the first.  Raises IdempotencyKeyReused when the key came with another
        request, IdempotencyKeyInUse when the first takes too long, and what `act` raises: then nothing is stored.
        """
        for _attempt in range(2):
            if known := self._known(request):
                return known.answer_to(request), True
            try:
                with transaction.atomic():
                    row = self._take(request)
                    row.answer = act()
                    row.save(update_fields=["answer"])
                return row.answer, False
            except _KeyTaken:
                continue  # read in a transaction of its own, because this one may not see it
        raise IdempotencyKeyInUse(request.key)

    def _known(self, request: KeyedRequest) -> IdempotencyKey | None:
        mine = Q(caller=request.caller) | Q(caller=request.caller_name, request_sha256="")
        return self.filter(mine, key=request.key, created_at__gt=database_now() - KEPT_FOR).first()

    def _take(self, request: KeyedRequest) -> IdempotencyKey:
        now = database_now()
        self.filter(caller=request.caller, key=request.key).expired(now).delete()
        if connection.vendor == "postgresql":  # SQLite has one writer at a time, with a limit of its own
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{WAIT_SECONDS * 1000:.0f}ms"])
        try:
            with transaction.atomic():
                return self.create(caller=request.caller, key=request.key, request_sha256=request.sha256, created_at=now)
        except IntegrityError:
            raise _KeyTaken from None
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != LOCK_NOT_AVAILABLE:
                raise
            raise IdempotencyKeyInUse(request.key) from None


class IdempotencyKey(ReadableModel):
    """A key that a caller gave, what came with it, and the body of the answer."""

    caller = models.CharField(max_length=200)
    """An API key or a user; of keys from before this table the name, and then `request_sha256` is empty."""
    key = models.CharField(max_length=255)
    request_sha256 = models.CharField(max_length=64, blank=True, default="")
    answer = models.TextField(default="")
    created_at = models.DateTimeField()

    objects = IdempotencyKeyQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        indexes = (models.Index(fields=["created_at"], name="jobs_key_created"),)
        constraints = (models.UniqueConstraint(fields=["caller", "key"], name="jobs_key_once_a_caller"),)

    def __str__(self) -> str:
        return self.key

    def answer_to(self, request: KeyedRequest) -> str:
        """The answer that this request got before; raises IdempotencyKeyReused when it is another one, or the row is damaged."""
        try:
            data = json.loads(self.answer)["data"]
            if not self.unreadable and self._came_with(request, data):
                return self.answer
        except (ValueError, TypeError, KeyError):
            pass
        raise IdempotencyKeyReused(self.key)

    def _came_with(self, request: KeyedRequest, data: dict[str, Any]) -> bool:
        if self.request_sha256:
            return self.request_sha256 == request.sha256
        # What a client sent was not kept then: the run has its arguments together with those of the definition.
        run = data["run"]
        known, sent = run["kwargs"] or {}, request.fields.get("kwargs") or {}
        return request.operation == "run_job" and run["job_id"] == request.target and known | sent == known
