from __future__ import annotations

from typing import Any

from health.checks import check_middleware_order


def test_the_probes_come_before_every_other_middleware(settings: Any) -> None:
    assert check_middleware_order() == []
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[1:], settings.MIDDLEWARE[0]]
    (message,) = check_middleware_order()
    assert message.id == "health.E001"
    settings.MIDDLEWARE = []
    assert [message.id for message in check_middleware_order()] == ["health.E001"]
