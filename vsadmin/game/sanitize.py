"""Makes text from upstream services and mod packages safe to store and to show."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import nh3
from pydantic import BeforeValidator

from jobs.storable import make_storable

MAX_HTML = 100_000

_BLOCKS = {"blockquote", "dd", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "table", "tbody", "td", "th", "thead", "tr", "ul"}
_WORDS = {"a", "b", "br", "code", "del", "em", "i", "s", "strong", "sub", "sup", "u"}


def clean_text(value: object, limit: int) -> str:
    """A text or number as a storable text of at most `limit` characters; "" for any other type."""
    if not isinstance(value, (str, int, float)):
        return ""
    return make_storable(str(value)).strip()[:limit]


def clean_html(value: object) -> str:
    """HTML with harmless tags only: no scripts, no styles, no images, links only to http and https."""
    return nh3.clean(
        clean_text(value, MAX_HTML),
        tags=_BLOCKS | _WORDS,
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
    )


def clean_url(value: object) -> str:
    """An http or https address of at most 500 characters; "" for anything else, because it could run a script when clicked."""
    text = clean_text(value, 501)
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in {"http", "https"} and parts.hostname and len(text) <= 500 else ""


def capped(limit: int) -> BeforeValidator:
    """A pydantic validator that turns any scalar or null into a clean text of at most `limit` characters."""

    def convert(value: object) -> str:
        if isinstance(value, (dict, list)):
            raise ValueError(f"expected a text, got a {type(value).__name__}")  # noqa: TRY004 (pydantic turns only a ValueError into an error of the field)
        return clean_text(value, limit)

    return BeforeValidator(convert)


Url = Annotated[str, BeforeValidator(clean_url)]
Html = Annotated[str, BeforeValidator(clean_html)]
