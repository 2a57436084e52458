"""The address of the client, which may be behind trusted reverse proxies."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

from vsadmin.environment import UNIX_SOCKET


@lru_cache(maxsize=8)
def _networks(proxies: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(proxy, strict=False) for proxy in proxies if proxy != UNIX_SOCKET]


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip())
    except ValueError:
        return None


def _is_trusted(text: str) -> bool:
    if text == UNIX_SOCKET:
        return UNIX_SOCKET in settings.TRUSTED_PROXIES
    address = _parse(text)
    return address is not None and any(address in network for network in _networks(tuple(settings.TRUSTED_PROXIES)))


def client_address(request: HttpRequest) -> str:
    """The address that the request comes from; `unix` for a Unix socket.

    X-Forwarded-For is read from its end, as long as the address before is a trusted proxy: only trusted proxies wrote that part.
    """
    address = str(request.META.get("REMOTE_ADDR") or UNIX_SOCKET)
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    while hops and _is_trusted(address) and _parse(hops[-1]):
        address = hops.pop().strip()
    return address
