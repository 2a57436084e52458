"""The stand-in's HTTP server: both services at one address, with faults that can be switched on."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vsadmin.game.standin.library import Library
from vsadmin.game.standin.switches import BadSwitch, Switches

HTML = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>Back soon</h1></body></html>"
DRIP_SECONDS = 0.2
DRIPS = 10
HANG_SECONDS = 600


class StandIn(ThreadingHTTPServer):
    """Serves both services on 127.0.0.1; port 0 chooses a free port, which `url` contains."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.switches = Switches(Library())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that closed its connection is not an error of the server."""


class Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the parent's name)
        """Silent, because stdout contains only `ready`."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/switch":
            self._send(200, _json(self.server.switches.show()))
            return
        self.server.switches.requested_paths.append(self.path)
        service = "mods" if path.startswith("/api/") else "versions"
        getattr(self, f"_{self.server.switches.modes[service]}")()

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 65_536))
        if self.path != "/switch":
            self._send(404, b"POST /switch")
            return
        try:
            wanted = json.loads(body or b"{}")
            self.server.switches.apply(wanted)
        except (BadSwitch, ValueError, AttributeError) as error:
            self._send(422, _json({"error": str(error)}))
            return
        self._send(200, _json(self.server.switches.show()))

    def _ok(self) -> None:
        answer = self._answer()
        if answer is None:
            self._send(404, HTML, "text/html")
            return
        etag = f'"{hashlib.blake2b(answer, digest_size=8).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            self._send(304, b"", etag=etag)
        else:
            self._send(200, answer, etag=etag)

    def _down(self) -> None:
        self.close_connection = True

    def _readonly(self) -> None:
        self._send(503, HTML, "text/html", retry_after="120")

    def _html(self) -> None:
        self._send(200, HTML, "text/html")

    def _hang(self) -> None:
        self.server.switches.changed.wait(HANG_SECONDS)
        self.close_connection = True

    def _truncated(self) -> None:
        answer = self._answer() or b""
        self._send(200, answer[: len(answer) // 2])

    def _slow(self) -> None:
        answer = self._answer() or b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        step = len(answer) // DRIPS + 1
        for start in range(0, len(answer), step):
            self.wfile.write(answer[start : start + step])
            self.server.switches.changed.wait(DRIP_SECONDS)

    def _send(self, status: int, body: bytes, kind: str = "application/json", etag: str = "", retry_after: str = "") -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "ETag": etag, "Retry-After": retry_after}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> bytes | None:
        library = self.server.switches.library
        parts = urlsplit(self.path)
        feeds = {"/stable.json": library.stable, "/unstable.json": library.unstable, "/stable-unstable.json": library.unstable | library.stable}
        texts = {"/lateststable.txt": library.stable, "/latestunstable.txt": library.unstable}
        if parts.path in feeds:
            return json.dumps(feeds[parts.path], indent=2).encode()
        if parts.path in texts:
            return next(iter(texts[parts.path])).encode()
        if parts.path.startswith("/api/"):
            return _php(_moddb(library, parts.path.removeprefix("/api/").strip("/"), parse_qs(parts.query)))
        return None


def _json(data: Any) -> bytes:
    return json.dumps(data).encode()


def _php(data: Any) -> bytes:
    """JSON in the format of PHP: compact, ASCII, slashes escaped."""
    return json.dumps(data, separators=(",", ":")).replace("/", "\\/").encode()


def _moddb(library: Library, path: str, query: dict[str, list[str]]) -> Any:
    """An answer of the mod database, whose HTTP status is 200 even for errors."""
    first, _, rest = path.partition("/")
    if first == "mods":
        return {"statuscode": "200", "mods": library.mods}
    if first == "mod":
        page = library.page(rest)
        return {"mod": page, "statuscode": "200"} if page else {"statuscode": "404"}
    if first == "updates":
        return _updates(library, query.get("mods", [""])[0])
    if first in {"tags", "gameversions"}:
        return library.tags if first == "tags" else library.game_versions
    return {"statuscode": "410" if first == "changelogs" else "404"}


def _updates(library: Library, pairs: str) -> Any:
    """Like the real service: one malformed pair fails the request, and no updates are an empty list instead of an object."""
    updates = {}
    for pair in filter(None, pairs.split(",")):
        identifier, at, version = pair.partition("@")
        if not at:
            return {"statuscode": "400"}
        newer = [release for release in library.releases(identifier) if release["modversion"] > version]
        if newer:
            updates[identifier] = {name: value for name, value in newer[0].items() if name != "changelog"}
    return {"statuscode": "200", "updates": updates or []}
