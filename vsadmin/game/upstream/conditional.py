"""Validators of conditional requests, with which upstream answers "not modified" instead of sending unchanged data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vsadmin.game.sanitize import clean_text


@dataclass(frozen=True, slots=True)
class Validators:
    """The ETag and Last-Modified header of the stored data; "" where upstream sent none."""

    etag: str = ""
    last_modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Validators:
        # A truncated ETag would never match, so an ETag that is too long is dropped.
        etag, modified = clean_text(headers.get("etag"), 501), clean_text(headers.get("last-modified"), 101)
        return cls(etag if len(etag) <= 500 else "", modified if len(modified) <= 100 else "")

    @property
    def request_headers(self) -> dict[str, str]:
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value and value.isascii()}


NO_VALIDATORS = Validators()
