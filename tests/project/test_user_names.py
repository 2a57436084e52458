"""No user is called what the history shows for a scheduler, for code or for an API key."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

pytestmark = pytest.mark.django_db

RESERVED = ["scheduler", "Scheduler", "code", "key backup", "VS_API_KEY_ADMIN", "vs_api_key_anything", "\uff53cheduler"]


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_name_is_refused_by_every_road(name: str, admin_client: Client) -> None:
    with pytest.raises(ValidationError, match="Choose another name"):
        User.objects.create_user(name)
    with pytest.raises(CommandError):
        call_command("createsuperuser", "--noinput", "--username", name, "--email", "")
    renamed = User.objects.create_user("anna")
    renamed.username = name
    with pytest.raises(ValidationError):
        renamed.save()
    fixture = serializers.serialize("json", [renamed])
    with pytest.raises(ValidationError):
        next(iter(serializers.deserialize("json", fixture))).save()
    passwords = {"usable_password": "true", "password1": "correct horse battery", "password2": "correct horse battery"}
    assert admin_client.post("/admin/auth/user/add/", {"username": name, **passwords}).status_code == 200
    assert sorted(User.objects.values_list("username", flat=True)) == ["admin", "anna"]


def test_the_admin_says_what_is_wrong_with_the_name(admin_client: Client) -> None:
    page = admin_client.post("/admin/auth/user/add/", {"username": "scheduler"}).content.decode()
    assert "“scheduler” is what the history calls a scheduler or an API key. Choose another name." in page


def test_a_user_who_has_such_a_name_already_can_still_log_in_and_be_saved() -> None:
    User.objects.bulk_create([User(username="scheduler")])
    user = User.objects.get()
    user.set_password("correct horse")
    user.save()
    Client().force_login(user)
    user.refresh_from_db()
    assert user.last_login is not None
