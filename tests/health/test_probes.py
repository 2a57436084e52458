from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from health.probes import health, readiness
from health.registry import blocks, probes, register_block, register_probe

pytestmark = pytest.mark.django_db(transaction=True)

DATABASE = {"database": True, "writable": True, "migrations": True}


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    """Only what the test registers."""
    registries: list[dict[str, Any]] = [blocks, probes]
    kept = [dict(registry) for registry in registries]
    for registry in registries:
        registry.clear()
    yield
    for registry, registered in zip(registries, kept, strict=True):
        registry.clear()
        registry.update(registered)


@pytest.fixture
def hanging() -> Iterator[Any]:
    """A function that returns only after the test."""
    release = Event()

    def hang() -> Any:
        release.wait(30)

    yield hang
    release.set()


def broken() -> Any:
    raise ValueError("no disk")


def test_a_block_that_hangs_is_replaced_by_its_fallback_at_the_deadline(hanging: Any) -> None:
    """`health()` returns while the block still hangs."""
    register_block("hanging", hanging, {"disk_space": None})
    register_block("well", lambda: {"game_server": "running"})
    data = health()
    assert (data["api"], data["disk_space"], data["game_server"]) == ("healthy", None, "running")


def test_a_block_that_raises_is_replaced_by_its_fallback() -> None:
    register_block("broken", broken, {"disk_space": None})
    assert health()["disk_space"] is None


def test_the_reason_of_a_registered_probe_makes_the_process_unready() -> None:
    register_probe("backup", lambda: "a restore is running")
    register_probe("well", lambda: None)
    reasons, data = readiness()
    assert reasons == ["a restore is running"]
    assert (data["ready"], data["checks"]) == (False, DATABASE | {"backup": False, "well": True})
    assert data["database"] == "reachable"


def test_a_ready_process_says_so_and_what_it_has_checked() -> None:
    reasons, data = readiness()
    assert (reasons, data["ready"], data["checks"]) == ([], True, DATABASE)


def test_a_probe_that_hangs_or_raises_does_not_make_the_process_unready(hanging: Any) -> None:
    register_probe("hanging", hanging)
    register_probe("broken", broken)
    assert readiness()[0] == []
