"""The bytes of one request while they arrive: finds its end, and what has to be refused before it.

It only measures; gunicorn's parser reads the complete request, and refuses what is malformed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from vsadmin.http.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES

PROBES = (b"/healthz", b"/readyz")


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal of the server itself, in the shape of the API's problems."""

    status: int
    reason: str
    code: str
    detail: str

    def body(self) -> bytes:
        urn = f"urn:vsadmin:problem:{self.code.lower().replace('_', '-')}"
        title = self.code.replace("_", " ").capitalize()
        return json.dumps({"type": urn, "title": title, "status": self.status, "detail": self.detail, "code": self.code}).encode()

    def response(self) -> bytes:
        body = self.body()
        lines = [
            f"HTTP/1.1 {self.status} {self.reason}",
            "Content-Type: application/problem+json",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


TOO_SLOW = Refused(408, "Request Timeout", "REQUEST_TIMEOUT", "the request did not arrive completely in time")
HEAD_TOO_LARGE = Refused(431, "Request Header Fields Too Large", "HEADERS_TOO_LARGE", f"the request line and the headers are larger than {MAX_HEAD_BYTES} bytes")
BODY_TOO_LARGE = Refused(413, "Content Too Large", "BODY_TOO_LARGE", f"the body is larger than {MAX_BODY_BYTES} bytes")
NO_LENGTH = Refused(411, "Length Required", "LENGTH_REQUIRED", "send the body with a Content-Length instead of in chunks")


class Incoming:
    """Feed it what arrives; then look at `is_complete` and `refused`."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.refused: Refused | None = None
        self.expects_continue = False
        self._searched = 0
        self._length: int | None = None
        """Of head and body together, once the head is complete."""

    @property
    def is_complete(self) -> bool:
        return self._length is not None and len(self.data) >= self._length

    @property
    def is_probe(self) -> bool:
        target = bytes(self.data[:64]).split(b" ")[1:2]
        return bool(target) and target[0].split(b"?")[0] in PROBES

    def feed(self, chunk: bytes) -> None:
        self.data += chunk
        if self._length is None:
            self._find_head()

    def _find_head(self) -> None:
        """Each byte is looked at once: a client that sends single bytes must not cost more than one that sends all at once."""
        while not self._searched and self.data.startswith(b"\r\n"):  # RFC 9112, 2.2: ignored before the request line
            del self.data[:2]
        while (newline := self.data.find(b"\n", self._searched)) >= 0:
            self._searched = newline + 1
            if self.data[newline - 1 : newline] != b"\r":
                self._length = self._searched  # malformed: gunicorn refuses it without waiting for more
                return
            if self.data[max(newline - 3, 0) : newline] == b"\r\n\r":
                self._measure(bytes(self.data[: newline + 1]))
                return
        self._searched = len(self.data)
        if len(self.data) > MAX_HEAD_BYTES:
            self.refused = HEAD_TOO_LARGE

    def _measure(self, head: bytes) -> None:
        fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])]
        lengths = [int(value.lstrip(b"0")[:19] or b"0") for name, value in fields if name == b"content-length" and value.isdigit()]
        body = max(lengths, default=0)
        self._length = len(head) + body
        self.expects_continue = any(name == b"expect" and value.lower() == b"100-continue" for name, value in fields)
        if len(head) > MAX_HEAD_BYTES:
            self.refused = HEAD_TOO_LARGE
        elif any(name == b"transfer-encoding" for name, _ in fields):
            self.refused = NO_LENGTH
        elif body > MAX_BODY_BYTES:
            self.refused = BODY_TOO_LARGE
