from __future__ import annotations

import pytest

from tests.support.api import Caller

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("given", ["short", "with space and more", "x" * 65, "new\nline-injected"])
def test_a_request_id_that_is_no_plain_word_is_replaced(given: str, admin: Caller) -> None:
    admin.client.defaults["HTTP_X_REQUEST_ID"] = given
    assert len(admin.get("/auth/me")["X-Request-ID"]) == 36
