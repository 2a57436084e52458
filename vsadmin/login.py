"""The login form of the admin: it limits attempts by name and by address, and logs each."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address, ip_network
from typing import Any

import structlog
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import ngettext

from jobs.clock import database_now
from vsadmin.http.client_address import client_address
from vsadmin.models import LoginAttempt

log = structlog.get_logger()

PER_NAME = 10
PER_ADDRESS = 50
"""More than for a name: a whole office may share an address."""


class LoginForm(AdminAuthenticationForm):
    """Counts an attempt before the password is checked, so that attempts at the same time do not pass together.

    A database that is gone refuses the login, as it does without this form.
    """

    request: HttpRequest

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not name or not password:
            return self.cleaned_data  # the fields say what is missing
        peer = client_address(self.request)
        by_address, by_name = f"address {_network(peer)}", f"name {_digest(name)}"
        self._take(name, peer, ((by_address, PER_ADDRESS), (by_name, PER_NAME)))
        try:
            cleaned = super().clean()
        except ValidationError:
            _log_failure(name, peer, "wrong name or password, or no staff user")
            raise
        LoginAttempt.objects.forget(by_name)
        LoginAttempt.objects.give_back(by_address)
        log.info("auth_succeeded", user=name, peer=peer)
        return cleaned

    @staticmethod
    def _take(name: str, peer: str, limits: tuple[tuple[str, int], ...]) -> None:
        now = database_now()
        for source, limit in limits:  # the address first: one address cannot fill the table with names
            if wait := LoginAttempt.objects.take(source, limit, now):
                _log_failure(name, peer, f"too many attempts by {source.split()[0]}")
                minutes = -(-wait // 60)
                message = ngettext("Too many attempts to log in. Try again in %(n)d minute.", "Too many attempts to log in. Try again in %(n)d minutes.", minutes)
                raise ValidationError(message % {"n": minutes}, code="too_many_attempts")


def _log_failure(name: str, peer: str, reason: str) -> None:
    # An unknown name may be a password that was typed into the wrong field.
    known = get_user_model().objects.filter(username=name).exists()
    log.warning("auth_failed", reason=reason, user=name if known else None, path="/admin/login/", method="POST", peer=peer)


def _digest(name: str) -> str:
    return hashlib.sha256(name.casefold().encode(errors="surrogatepass")).hexdigest()


def _network(peer: str) -> str:
    """The address; of IPv6 the network, because one machine has as many addresses as it likes."""
    try:
        address = ip_address(peer)
    except ValueError:  # a Unix socket has none
        return "unknown"
    return str(ip_network((address, 64), strict=False) if address.version == 6 else address)
