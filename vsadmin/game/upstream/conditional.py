"""Conditional requests: what an upstream gives so that unchanged data need not travel again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vsadmin.game.sanitize import clean_text


@dataclass(frozen=True, slots=True)
class Validators:
    """The ETag and Last-Modified of the data we have; "" where upstream offered none."""

    etag: str = ""
    last_modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Validators:
        # A cut ETag would match nothing, so one that is too long is no ETag.
        etag, modified = clean_text(headers.get("etag"), 501), clean_text(headers.get("last-modified"), 101)
        return cls(etag if len(etag) <= 500 else "", modified if len(modified) <= 100 else "")

    @property
    def request_headers(self) -> dict[str, str]:
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value and value.isascii()}


NO_VALIDATORS = Validators()
