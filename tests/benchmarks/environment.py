"""The environment of everything that is measured: production settings, and no variables of the developer."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
KEY = "an-admin-key-of-the-benchmarks-0123456789"


def environment(database_url: str, tree: Path = REPOSITORY) -> dict[str, str]:
    """Variables for a process that runs the code in `tree`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VS_", "DJANGO_"))}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
        "PYTHONPATH": str(tree),
        "VS_DATABASE_URL": database_url,
        "VS_SECRET_KEY": "only-for-benchmarks-" + "x" * 50,
        "VS_HTTPS": "false",
        "VS_ALLOWED_HOSTS": "127.0.0.1,testserver",
        "VS_API_KEY_ADMIN": KEY,
        "VS_API_REQUESTS_PER_MINUTE": "1000000",
        # The game's jobs must not run beside the measured ones.
        "VS_MOD_LIST_REFRESH_INTERVAL": "0",
        "VS_SERVER_VERSIONS_REFRESH_INTERVAL": "0",
        "VS_GAME_SERVER_WATCH_INTERVAL": "0",
    }
