"""The `VS_…` environment variables, typed and validated.

No other module reads the environment.  A bad value stops the start with one line that
names the variable; the value itself is never printed, because it may be a secret.
"""

from __future__ import annotations

import re
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent
MAX_INTERVAL_SECONDS = 31_622_400  # a leap year
UNIX_SOCKET = "unix"
"""In VS_TRUSTED_PROXIES: clients of a Unix socket, which have no address."""
OWN_PATHS = {"admin", "api", "healthz", "metrics", "readyz", "static"}
EXPECTED_ORIGIN = "expected origins such as https://jobs.example.org:8443, without a path"
DIFFERENT_CHARACTERS = 8
"""In a secret: 32 random characters have more of them practically always, `aaaa…` and `abcabc…` have fewer."""

POSTGRESQL_OPTIONS = {
    "application_name": "vsadmin",
    "connect_timeout": 5,
    # A server that has vanished is noticed after 11 s, and not after 2 h without traffic or 15 min with it.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Seconds, except for tcp_user_timeout, which PostgreSQL's client library takes in milliseconds."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a path, a folder, an unknown name
        raise ValueError("expected an IANA time zone such as Europe/Vienna") from None
    return name


def _split(url: str, expected: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # urlsplit validates the port only on access
    except ValueError:
        raise ValueError(expected) from None  # the original message repeats a part of the address
    return parts


def _http_url(url: str) -> str:
    expected = "expected an address such as https://api.vintagestory.at"
    parts = _split(url, expected)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(expected)
    return url.rstrip("/")


def _looks_random(secret: str, length: int) -> bool:
    return len(secret) >= length and len(set(secret)) >= DIFFERENT_CHARACTERS


ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")  # as a browser sends it
IntervalSeconds = Annotated[int, Field(ge=0, le=MAX_INTERVAL_SECONDS)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]


class Environment(BaseSettings):
    """The `VS_…` variables and their defaults; `docs/settings.md` explains each."""

    model_config = SettingsConfigDict(env_prefix="VS_", hide_input_in_errors=True, extra="ignore", env_ignore_empty=True)

    debug: bool = False
    secret_key: str = ""
    allowed_hosts: Annotated[list[str], NoDecode] = ["localhost", "127.0.0.1", "[::1]"]
    trusted_proxies: Annotated[list[str], NoDecode] = []
    cors_origins: Annotated[list[str], NoDecode] = []
    csrf_trusted_origins: Annotated[list[str], NoDecode] = []
    path_prefix: str = ""
    https: bool = True
    session_idle_minutes: Annotated[int, Field(ge=5, le=44_640)] = 480
    database_url: str = "sqlite:///var/vsadmin.sqlite3"
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    environment: Annotated[str, Field(min_length=1, max_length=100)] = "default"
    scheduler_threads: Annotated[int, Field(ge=1, le=256)] = 10
    scheduler_workers: Annotated[int | None, Field(ge=0, le=256)] = None
    scheduler_worker_runs: Annotated[int, Field(ge=0, le=1_000_000_000)] = 1_000_000
    scheduler_worker_megabytes: Annotated[int, Field(ge=0, le=1_000_000)] = 1024

    api_key_admin: str = ""
    api_key_monitor: str = ""
    api_requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 12_000

    data_dir: Path = Path("~/.config/VintagestoryData")
    server_dir: Path = Path("/opt/vintagestory")
    versions_url: HttpUrl = "https://api.vintagestory.at"
    moddb_url: HttpUrl = "https://mods.vintagestory.at"
    mod_list_refresh_interval: IntervalSeconds = 3600
    server_versions_refresh_interval: IntervalSeconds = 86400
    game_server_watch_interval: IntervalSeconds = 10

    @field_validator("allowed_hosts", "trusted_proxies", "cors_origins", "csrf_trusted_origins", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _known_networks(cls, value: list[str]) -> list[str]:
        for proxy in value:
            try:
                _ = proxy == UNIX_SOCKET or ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError("expected addresses or networks such as 127.0.0.1,10.0.0.0/8, or unix for a Unix socket") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        if not all(ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError("expected origins such as https://panel.example.org,http://localhost:3000, each with its scheme and without a path")
        return value

    @field_validator("csrf_trusted_origins")
    @classmethod
    def _known_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            parts = _split(origin, EXPECTED_ORIGIN)
            if parts.scheme not in {"http", "https"} or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}" or "@" in origin:
                raise ValueError(EXPECTED_ORIGIN)
        return value

    @field_validator("path_prefix")
    @classmethod
    def _free_prefix(cls, value: str) -> str:
        prefix = value.rstrip("/")
        if prefix and (not re.fullmatch(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", prefix) or prefix.split("/")[1] in OWN_PATHS):
            raise ValueError(f"expected a path such as /vsadmin that does not begin with one of {', '.join(sorted(OWN_PATHS))}")
        return prefix

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("data_dir", "server_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        try:
            return value.expanduser()
        except RuntimeError:  # neither HOME nor a user of this number: the folder is not there, and the status says so
            return value

    @field_validator("api_key_admin", "api_key_monitor")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value and not _looks_random(value, 32):
            raise ValueError(f"expected at least 32 random characters ({DIFFERENT_CHARACTERS} different ones), as `./dev secret` prints")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        database_settings(value)
        return value

    @model_validator(mode="after")
    def _secret_key_unless_debugging(self) -> Environment:
        if not _looks_random(self.secret_key, 50) and not self.debug:
            expected = f"expected 50 random characters or more ({DIFFERENT_CHARACTERS} different ones), as `./dev secret` prints"
            raise ValueError(f"VS_SECRET_KEY: {expected} (or VS_DEBUG=true on your own machine)")
        return self

    @model_validator(mode="after")
    def _two_different_keys(self) -> Environment:
        if self.api_key_admin and self.api_key_admin == self.api_key_monitor:
            raise ValueError("VS_API_KEY_MONITOR: expected another key than VS_API_KEY_ADMIN")
        return self


def database_file(url: str) -> Path | None:
    """The file of a SQLite address, None for any other; raises ValueError when the address names none."""
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite":
        return None
    path = rest.removeprefix("/")
    if not path:
        raise ValueError("expected sqlite:///relative/path or sqlite:////absolute/path")
    return BASE_DIR / path


def database_settings(url: str) -> dict[str, Any]:
    """Django's `DATABASES["default"]` for `sqlite:///path` or `postgres://user:password@host:port/name?option=value`.

    Raises ValueError for any other scheme; the message does not repeat the address, which may hold a password.
    """
    if (file := database_file(url)) is not None:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            # Settings make a missing file, privately (`private_files.py`); a connection does not, should somebody delete it later.
            "NAME": f"{file.as_uri()}?mode=rw",
            "OPTIONS": {
                # A transaction that reads first and then writes fails with SQLITE_BUSY when another one wrote in between,
                # without waiting for the timeout; BEGIN IMMEDIATE takes the write lock first, and waits for it.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    if url.startswith(("postgres://", "postgresql://")):
        expected = "expected postgres://user:password@host:port/name"
        parts = _split(url, expected)
        if not parts.path.strip("/"):
            raise ValueError(expected)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            # No pool: scheduler threads would wait for its connections until they time out.
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": POSTGRESQL_OPTIONS | dict(parse_qsl(parts.query)),
        }
    raise ValueError("expected sqlite:///path or postgres://user:password@host:port/name")


def read_environment() -> Environment:
    """Read and validate the environment; ends the process with one line that names a bad variable."""
    try:
        return Environment()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = f"VS_{'_'.join(map(str, first['loc'])).upper()}: " if first["loc"] else ""
        _stop(name + first["msg"].removeprefix("Value error, "))


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"vsadmin: {message}\n")
    raise SystemExit(2)
