"""Entity tags, and the precondition If-Match, as in RFC 9110.

The tag of a job is `"7-0123456789abcdef"`: its revision, and a digest of the body, which also changes when the job runs.
If-Match guards what people edit, so it compares only the revision: a run in between refuses no change.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from django.utils.http import parse_etags
from ninja import Header

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=2000,
        description="The ETag that the request is based on, several of them, or *. Refused with 412 when the job has another revision by now.",
        examples=['"7-0123456789abcdef"'],
    ),
]
REVISION = re.compile(r'"([0-9]{1,9})(?:-[0-9a-f]{16}(?:-gzip)?)?"')
"""The digest may be missing: a client may know only the revision."""


def digest_of(content: bytes) -> str:
    """Of the body of a response, for its ETag."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def revision_tag(revision: int) -> str:
    """The ETag of a job before the digest of the body is known."""
    return f'"{revision}"'


def expected_revisions(if_match: str | None) -> frozenset[int] | None:
    """The revisions that If-Match allows; None: any.  Weak and foreign tags match nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    return frozenset(int(match[1]) for tag in parse_etags(if_match) if (match := REVISION.fullmatch(tag)))


def without_coding(tag: str) -> str:
    """The tag of the same body without compression."""
    return tag.removesuffix('-gzip"') + '"' if tag.endswith('-gzip"') else tag


def matches_digest(if_match: str | None, digest: str) -> bool:
    """Whether If-Match allows the body with this digest; weak tags match nothing."""
    if if_match is None or if_match.strip() == "*":
        return True
    return f'"{digest}"' in map(without_coding, parse_etags(if_match))
