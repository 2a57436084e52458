"""A session ends when nobody uses it, and not before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils.timezone import now

from vsadmin.http.session_idle import SEEN_AT

pytestmark = pytest.mark.django_db

PAGE = "/admin/jobs/jobdefinition/"


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("anna"))
    return client


def left() -> timedelta:
    return Session.objects.get().expire_date - now()


def grow_old(client: Client, by: timedelta) -> None:
    session = client.session
    session[SEEN_AT] = session.get(SEEN_AT, int(now().timestamp())) - int(by.total_seconds())
    session.save()
    Session.objects.update(expire_date=now() + timedelta(hours=8) - by)


def test_a_session_that_is_used_lasts_longer(client: Client) -> None:
    grow_old(client, timedelta(hours=7))
    assert left() < timedelta(hours=2)
    assert client.get(PAGE).status_code == 200
    assert left() > timedelta(hours=7)


def test_a_session_that_nobody_uses_ends(client: Client) -> None:
    grow_old(client, timedelta(hours=9))
    assert client.get(PAGE).status_code == 302


def test_a_page_that_refreshes_itself_does_not_keep_a_session(client: Client) -> None:
    grow_old(client, timedelta(hours=7))
    assert client.get(PAGE, headers={"X-Requested-With": "live"}).status_code == 200
    assert left() < timedelta(hours=2)


def test_most_requests_write_no_session(client: Client) -> None:
    client.get(PAGE)
    before = Session.objects.get().expire_date
    client.get(PAGE)
    assert Session.objects.get().expire_date == before


def test_the_limit_is_the_one_of_the_setting(settings: LazySettings) -> None:
    assert settings.SESSION_COOKIE_AGE == 480 * 60
