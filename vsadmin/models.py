"""API keys and their roles, and the attempts to log in."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from vsadmin.api.exceptions import KeyNotFound

NOTE_USE_EVERY = timedelta(minutes=1)
LOGIN_WINDOW = timedelta(minutes=15)
ADMINISTRATORS = "vsadmin.administrate"
"""A permission that exists in no table, so that only the admin key and superusers have it."""

_SHAPE = re.compile(r"(vs_[0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NO_KEY = hashlib.sha256(b"").hexdigest()


class Role(models.TextChoices):
    ADMIN = "admin", _("admin: everything")
    MONITOR = "monitor", _("monitor: health, metrics, versions, mods and server status")

    def may_be_given_by(self, user: Any) -> bool:
        """Nobody makes a key that may do more than they may themselves; the admin key may do everything."""
        return self == Role.MONITOR or bool(user.has_perm(ADMINISTRATORS))


def digest(key: str) -> str:
    """The SHA-256 of a key.  A key has 256 random bits, so that a slow hash would not make guessing harder."""
    # The header may hold any bytes; none may raise here.
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def issue(self, name: str, role: str, created_by: str, expires_at: datetime | None = None) -> tuple[ApiKey, str]:
        """Create a key; returns its row and the key itself, of which only the hash is stored."""
        row = ApiKey(name=name, role=role, created_by=created_by, expires_at=expires_at)
        key = row.renew()
        row.full_clean()
        row.save(force_insert=True)
        return row, key

    def find(self, prefix: str) -> ApiKey:
        """Raises KeyNotFound."""
        row = self.filter(prefix=prefix).first()
        if row is None:
            raise KeyNotFound(prefix)
        return row

    def matching(self, key: str) -> ApiKey | None:
        """The row of exactly this key, also when it is expired or revoked; an unknown key takes the same time."""
        shape = _SHAPE.fullmatch(key)
        row = self.filter(prefix=shape[1] if shape else "").first()
        same = hmac.compare_digest(digest(key), row.sha256 if row else _NO_KEY)
        return row if row and same else None


class ApiKey(models.Model):
    """The stored part of a key: found by its prefix, compared by its SHA-256."""

    name = models.CharField(_("name"), max_length=100, help_text=_("Name of the person or program."))
    prefix = models.CharField(_("begins with"), max_length=20, unique=True, editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.MONITOR)
    created_by = models.CharField(_("created by"), max_length=150, editable=False)
    created_at = models.DateTimeField(_("created"), default=now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("Empty: never."))
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ("-created_at", "prefix")
        constraints = (models.CheckConstraint(name="vsadmin_key_role_known", condition=Q(role__in=Role.values)),)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def renew(self) -> str:
        """Generate a new key and return it; saves nothing."""
        self.prefix = f"vs_{secrets.token_hex(6)}"
        key = f"{self.prefix}_{secrets.token_urlsafe(32)}"
        self.sha256 = digest(key)
        return key

    def problem(self, now: datetime) -> str | None:
        """The reason why the key is invalid now, or None."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return None

    def note_use(self, now: datetime) -> None:
        """Store the time of use, at most once a minute."""
        if self.last_used_at is None or self.last_used_at <= now - NOTE_USE_EVERY:
            ApiKey.objects.filter(Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - NOTE_USE_EVERY), pk=self.pk).update(last_used_at=now)

    def revoke(self, now: datetime) -> bool:
        """Revoke the key permanently; False when it was revoked before."""
        return bool(ApiKey.objects.filter(pk=self.pk, revoked_at__isnull=True).update(revoked_at=now))


class LoginAttemptQuerySet(models.QuerySet["LoginAttempt"]):
    def take(self, source: str, limit: int, now: datetime) -> int:
        """Count one attempt of `source`; 0 when it is allowed, else the seconds until the next one is.

        Each statement is atomic by itself, so that attempts at the same time in several processes are all counted.
        """
        self.filter(Q(since__lte=now - LOGIN_WINDOW) | Q(since__gt=now + LOGIN_WINDOW)).delete()
        self.bulk_create([LoginAttempt(source=source, since=now)], ignore_conflicts=True)
        if self.filter(source=source, count__lt=limit).update(count=F("count") + 1):
            return 0
        since = self.filter(source=source).values_list("since", flat=True).first() or now
        return max(math.ceil((since + LOGIN_WINDOW - now).total_seconds()), 1)

    def give_back(self, source: str) -> None:
        """Do not count the last attempt of `source`."""
        self.filter(source=source, count__gt=0).update(count=F("count") - 1)

    def forget(self, source: str) -> None:
        self.filter(source=source).delete()


class LoginAttempt(models.Model):
    """The attempts to log in with one name, or from one address, since a time: in the database, so that all web processes count together."""

    source = models.CharField(max_length=100, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(db_index=True)

    objects = LoginAttemptQuerySet.as_manager()

    class Meta:
        default_permissions = ()  # nobody edits these rows

    def __str__(self) -> str:
        return f"{self.source}: {self.count}"
