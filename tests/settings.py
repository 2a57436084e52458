"""The settings of the test process: those of production on plain HTTP, whatever the developer's environment says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import structlog

SECRET_KEY_FOR_TESTS = "only-for-tests-" + "x" * 50
KEPT = {"VS_DATABASE_URL"}
TEST_VARIABLES = {
    "VS_SECRET_KEY": SECRET_KEY_FOR_TESTS,
    "VS_HTTPS": "false",
    "VS_ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
    # A test that forgets to say where its upstream service is must not reach the real one.
    "VS_VERSIONS_URL": "http://127.0.0.1:9",
    "VS_MODDB_URL": "http://127.0.0.1:9",
    "VS_DATA_DIR": "/nonexistent/data",
    "VS_SERVER_DIR": "/nonexistent/server",
}

for name in [name for name in os.environ if name.startswith("VS_") and name not in KEPT]:
    del os.environ[name]
os.environ.update(TEST_VARIABLES)
# A process that a test starts gets the settings of production, not these.
os.environ["DJANGO_SETTINGS_MODULE"] = "vsadmin.settings"

from vsadmin.logging import configure  # noqa: E402  as the next
from vsadmin.settings import *  # noqa: E402, F403  the environment above has to be there first

# The real hasher takes a third of a second for each user that a test makes.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]

LOGGING_CONFIG = "tests.settings.configure_logging"


def configure_logging(settings: dict[str, Any]) -> None:
    """As in production, but loggers that ask anew where to write, so that `structlog.testing.capture_logs` sees them."""
    configure(settings)
    structlog.configure(**structlog.get_config() | {"cache_logger_on_first_use": False})


def use_database_file(settings_dict: dict[str, Any], folder: Path) -> None:
    """Keep the SQLite test database in a file of `folder`, because real processes have to open it too."""
    settings_dict["TEST"]["NAME"] = str(folder / "vsadmin.sqlite3")
