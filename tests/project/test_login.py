"""The login of the admin: attempts are limited by name and by address, and every one is logged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now
from structlog.testing import capture_logs

from tests.support.processes import Site
from vsadmin.login import PER_ADDRESS, PER_NAME
from vsadmin.models import LOGIN_WINDOW, LoginAttempt

pytestmark = pytest.mark.django_db

RIGHT = "correct horse battery staple"


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", password=RIGHT, is_staff=True)


def log_in(name: str, password: str, address: str = "192.0.2.1") -> Any:
    return Client().post("/admin/login/?next=/admin/", {"username": name, "password": password}, REMOTE_ADDR=address)


def is_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


def test_after_too_many_guesses_of_a_name_not_even_the_right_password_opens_it(anna: User) -> None:
    for number in range(PER_NAME):
        assert not is_in(log_in("anna", f"guess {number}", f"192.0.2.{number}"))
    refused = log_in("anna", RIGHT, "198.51.100.1")
    assert not is_in(refused)
    assert "Too many attempts to log in. Try again in 15 minutes." in refused.content.decode()


def test_it_opens_again_when_the_time_has_passed(anna: User) -> None:
    for number in range(PER_NAME + 1):
        log_in("anna", f"guess {number}")
    LoginAttempt.objects.update(since=now() - LOGIN_WINDOW)
    assert is_in(log_in("anna", RIGHT))
    assert [(attempt.source, attempt.count) for attempt in LoginAttempt.objects.all()] == [("address 192.0.2.1", 0)]


def test_an_address_is_limited_over_all_names_and_fills_no_table(anna: User) -> None:
    LoginAttempt.objects.create(source="address 192.0.2.1", count=PER_ADDRESS - 1, since=now())
    log_in("nobody", "guess")
    for number in range(3):
        assert "Too many attempts" in log_in(f"nobody {number}", "guess").content.decode()
    assert not is_in(log_in("anna", RIGHT))
    assert LoginAttempt.objects.count() == 2
    assert is_in(log_in("anna", RIGHT, "192.0.2.2"))


def test_addresses_of_one_ipv6_network_count_together(anna: User) -> None:
    for number in range(2):
        log_in("anna", "guess", f"2001:db8::{number + 1}")
    assert LoginAttempt.objects.get(source="address 2001:db8::/64").count == 2


def test_a_success_forgets_the_guesses_of_a_name_but_not_those_of_its_address(anna: User) -> None:
    for _ in range(PER_NAME - 1):
        log_in("anna", "guess")
    assert is_in(log_in("anna", RIGHT))
    assert LoginAttempt.objects.get().count == PER_NAME - 1
    assert is_in(log_in("anna", RIGHT))


def test_a_clock_that_was_ahead_locks_nobody_out_for_long(anna: User) -> None:
    LoginAttempt.objects.create(source="address 192.0.2.1", count=PER_ADDRESS, since=now() + timedelta(days=1))
    assert is_in(log_in("anna", RIGHT))


def test_every_attempt_is_logged_without_the_password(anna: User) -> None:
    User.objects.create_user("guest", password=RIGHT)
    with capture_logs() as logs:
        log_in("anna", "guess")
        log_in("anna", RIGHT)
        log_in(RIGHT, "anna")  # typed into the wrong field
        log_in("guest", RIGHT)  # no staff user
    lines = [(line["event"], line["user"], line["peer"]) for line in logs if line["event"].startswith("auth_")]
    peer = "192.0.2.1"
    assert lines == [("auth_failed", "anna", peer), ("auth_succeeded", "anna", peer), ("auth_failed", None, peer), ("auth_failed", "guest", peer)]
    assert RIGHT not in str(logs)


def test_the_address_is_that_of_the_client_behind_a_trusted_proxy(anna: User, settings: LazySettings) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    Client().post("/admin/login/", {"username": "anna", "password": "guess"}, REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": "203.0.113.9"})
    assert LoginAttempt.objects.filter(source="address 203.0.113.9").exists()


def test_all_processes_of_a_web_server_count_together(site: Site) -> None:
    site.superuser()
    site.start_web(workers=2)
    answers = []
    for number in range(PER_NAME + 1):
        client = site.anonymous()  # a connection of its own, which either process may take
        client.get("/admin/login/")
        answers.append("Too many attempts" in client.post("/admin/login/", data={"username": "admin", "password": f"guess {number}"}).text)
    assert answers == [False] * PER_NAME + [True]


@pytest.mark.parametrize("foreign", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "http:///evil.example"])
def test_a_login_with_a_foreign_next_lands_in_the_admin(anna: User, foreign: str) -> None:
    answer = Client().post("/admin/login/", {"username": "anna", "password": RIGHT, "next": foreign})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
