"""The mod list at its real size: the number of written rows and the size of transactions; `-s` prints the time."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.game.support.run_job import RunJob
from vsadmin.game import jobs
from vsadmin.game.models import CatalogMod
from vsadmin.game.models.catalog import CHUNK
from vsadmin.game.standin.server import StandIn
from vsadmin.game.upstream.client import RetryBudget

MODS = 8000


def many_mods() -> list[dict[str, Any]]:
    return [
        {
            "modid": number,
            "assetid": number * 3,
            "downloads": number * 7,
            "follows": number,
            "trendingpoints": number,
            "comments": number,
            "name": f"Mod number {number}",
            "summary": "What it does, in about as many words as a summary has on average.",
            "modidstrs": [f"mod{number}"],
            "author": f"author{number % 900}",
            "urlalias": f"mod-{number}",
            "side": "both",
            "type": "mod",
            "logo": f"https://moddbcdn.vintagestory.at/logo{number}_f3e33e2b39ed75cd1ec5cd9e86bb785d_480_320.png",
            "tags": ["QoL", "Utility"],
            "lastreleased": "2026-11-20 22:14:03",
        }
        for number in range(100_000, 100_000 + MODS)
    ]


def test_eight_thousand_mods_are_written_in_small_transactions_and_then_only_changed_ones(
    run_job: RunJob, standin: StandIn, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "RETRY_BUDGET", RetryBudget())  # the stand-in needs longer than the short budget for a list of this size
    standin.switches.library.mods += many_mods()
    seconds = {"first": timed(run_job), "again, unchanged": timed(run_job)}
    standin.switches.library.mods[-1]["downloads"] += 1
    with CaptureQueriesContext(connection) as queries:
        seconds["again, one changed"] = timed(run_job)
    written = [query["sql"] for query in queries if query["sql"].startswith("INSERT") and "game_catalogmod" in query["sql"]]
    assert len(written) == 1
    assert CatalogMod.objects.count() == MODS + 40
    assert CHUNK <= 250
    sys.stdout.write(f"{connection.vendor}: " + ", ".join(f"{what} {value:.2f} s" for what, value in seconds.items()) + "\n")


def timed(run_job: RunJob) -> float:
    started = time.perf_counter()
    run_job("mod_cache_refresh")
    return time.perf_counter() - started
