"""How much and how long the web server reads.  gunicorn, uvicorn and Django's settings share these."""

from __future__ import annotations

MAX_HEAD_BYTES = 163_840
"""Request line and header fields.  An API key of 100 kB gets the same 401 as any unknown key."""

MAX_BODY_BYTES = 1_048_576

READ_SECONDS = 20.0
"""For a whole request, from the first byte to the last."""

WRITE_SECONDS = 30.0
"""For one write of a response to a client that does not read."""

LINGER_SECONDS = 2.0
"""Time for a client to read the last response before its connection is closed."""

MAX_HELD_BYTES = 67_108_864
"""Of all requests together that have not arrived completely; the oldest are dropped above it."""
