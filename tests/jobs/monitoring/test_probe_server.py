from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from django.conf import LazySettings

from jobs.monitoring.probe_server import ProbeServer, serve
from tests.support.cluster import Cluster
from tests.support.processes import Site, free_port
from tests.support.waiting import wait_until
from vsadmin.api.rate_limit import rate_limit


class Tick:
    """A scheduler's last tick, as old as the test wants."""

    age = 0.2


@pytest.fixture
def server() -> Iterator[ProbeServer]:
    running = serve(free_port(), lambda: Tick.age, host="127.0.0.1")
    yield running
    running.shutdown()
    running.server_close()


def ask(port: int, path: str, **headers: str) -> httpx2.Response:
    return httpx2.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=10, trust_env=False)


@pytest.mark.parametrize(("age", "status"), [(0.2, 200), (29.9, 200), (30.0, 503), (3600.0, 503)])
def test_livez_is_the_age_of_the_last_tick(age: float, status: int, server: ProbeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tick, "age", age)
    assert ask(server.server_port, "/livez").status_code == status


@pytest.mark.django_db(transaction=True)
def test_readyz_and_metrics_come_from_the_tables(server: ProbeServer, settings: LazySettings) -> None:
    settings.API_KEY_MONITOR = "a-monitor-key-of-the-tests"
    assert ask(server.server_port, "/readyz").text == "ok\n"
    assert ask(server.server_port, "/metrics").status_code == 401
    assert ask(server.server_port, "/metrics", **{"X-API-Key": "wrong"}).status_code == 401
    assert "vsadmin_scheduler_up" in ask(server.server_port, "/metrics", **{"x-api-key": settings.API_KEY_MONITOR}).text
    assert ask(server.server_port, "/nonsense").status_code == 404
    assert httpx2.head(f"http://127.0.0.1:{server.server_port}/livez", trust_env=False).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_after_too_many_guesses_the_right_key_is_refused_too(server: ProbeServer, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.API_KEY_MONITOR = "a-monitor-key-of-the-tests"
    monkeypatch.setattr(rate_limit, "per_minute", 2)
    rate_limit.forget()
    try:
        guesses = [ask(server.server_port, "/metrics", **{"X-API-Key": f"guess {number}"}).status_code for number in range(3)]
        refused = ask(server.server_port, "/metrics", **{"X-API-Key": settings.API_KEY_MONITOR})
        assert (guesses, refused.status_code, "Retry-After" in refused.headers) == ([401, 401, 429], 429, True)
        assert ask(server.server_port, "/livez").status_code == 200
    finally:
        rate_limit.forget()


@pytest.mark.once
def test_a_scheduler_stays_alive_while_its_database_hangs(remote_site: Site, migrated_cluster: Cluster) -> None:
    port = free_port()
    process = remote_site.start_scheduler("--health-port", str(port), wait=False)
    wait_until(lambda: "scheduler_started" in remote_site.output(process), timeout=20)
    wait_until(lambda: ask(port, "/readyz").status_code == 200)
    assert ask(port, "/livez").status_code == 200
    migrated_cluster.freeze()
    wait_until(lambda: ask(port, "/readyz").status_code == 503)
    assert ask(port, "/livez").status_code == 200
    migrated_cluster.thaw()
    wait_until(lambda: ask(port, "/readyz").status_code == 200)
