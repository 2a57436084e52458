from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils.timezone import now

from tests.support.processes import Site
from vsadmin.models import ApiKey, digest

pytestmark = pytest.mark.django_db


def apikey(*args: str) -> Any:
    said = StringIO()
    call_command("apikey", *args, "--json", stdout=said)
    return json.loads(said.getvalue())


def opens(key: str) -> bool:
    return Client().get("/api/v1alpha1/auth/me", headers={"X-API-Key": key}).status_code == 200


def test_a_key_is_made_listed_and_revoked() -> None:
    made = apikey("create", "prometheus")
    assert (made["role"], made["state"]) == ("monitor", "valid")
    assert opens(made["key"])
    (listed,) = apikey("list")
    assert made["key"] not in json.dumps(listed)
    assert listed["prefix"] == made["prefix"]
    assert apikey("revoke", made["prefix"])["state"] == "revoked"
    assert not opens(made["key"])
    assert apikey("revoke", made["prefix"])["state"] == "revoked"


def test_a_key_may_expire() -> None:
    made = apikey("create", "soon gone", "--role", "admin", "--expires", (now() - timedelta(seconds=1)).isoformat())
    assert made["state"] == "expired"
    assert not opens(made["key"])


def test_an_unknown_prefix_is_exit_code_3() -> None:
    with pytest.raises(CommandError) as refused:
        call_command("apikey", "revoke", "vs_none")
    assert refused.value.returncode == 3


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_exit_codes_and_streams_of_the_command(site: Site) -> None:
    made = site.manage("apikey", "create", "shell", "--role", "admin")
    assert digest(made.stdout.strip()) == ApiKey.objects.get().sha256
    assert made.stderr == ""
    for arguments, code in (
        (("create", "x" * 101), 1),
        (("create",), 2),
        (("create", "x", "--role", "king"), 2),
        (("create", "x", "--expires", "soon"), 2),
        (("revoke", "x"), 3),
    ):
        done = site.manage("apikey", *arguments, check=False)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert done.stderr


def test_admin_shows_a_new_key_once(admin_client: Client, django_capture_on_commit_callbacks: Any) -> None:
    answer = admin_client.post("/admin/vsadmin/apikey/add/", {"name": "backup", "role": "admin", "expires_at_0": "", "expires_at_1": ""})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    key = answer.context["key"]
    assert key in answer.content.decode()
    assert opens(key)
    row = ApiKey.objects.get()
    assert row.created_by == "admin"
    for path in ("/admin/vsadmin/apikey/", f"/admin/vsadmin/apikey/{row.pk}/change/"):
        page = admin_client.get(path)
        assert page.status_code == 200
        assert key not in page.content.decode()
        assert row.prefix in page.content.decode()


def test_admin_revokes_and_never_deletes(admin_client: Client) -> None:
    row, key = ApiKey.objects.issue("backup", "admin", "tester")
    admin_client.post("/admin/vsadmin/apikey/", {"action": "revoke", "_selected_action": [row.pk]})
    assert not opens(key)
    assert admin_client.post(f"/admin/vsadmin/apikey/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(f"/admin/vsadmin/apikey/{row.pk}/change/", {"name": "renamed", "role": "monitor"})
    row.refresh_from_db()
    assert (row.name, row.role) == ("backup", "admin")


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_nobody_makes_a_key_that_may_do_more_than_they_may() -> None:
    client = staff("add_apikey", "view_apikey")
    fields = {"name": "mine", "expires_at_0": "", "expires_at_1": ""}
    refused = client.post("/admin/vsadmin/apikey/add/", fields | {"role": "admin"})
    assert "admin is not one of the available choices" in refused.content.decode()
    assert not ApiKey.objects.exists()
    client.post("/admin/vsadmin/apikey/add/", fields | {"role": "monitor"})
    assert ApiKey.objects.get().role == "monitor"


@pytest.mark.parametrize("lookup", ["sha256__startswith", "sha256", "sha256__regex", "prefix__startswith"])
def test_keys_are_not_filtered_by_what_the_page_does_not_offer(lookup: str) -> None:
    row, _key = ApiKey.objects.issue("backup", "admin", "tester")
    client = staff("view_apikey")
    assert client.get("/admin/vsadmin/apikey/", {lookup: row.sha256[:1]}).status_code == 400
    assert "backup" in client.get("/admin/vsadmin/apikey/", {"role__exact": "admin"}).content.decode()
