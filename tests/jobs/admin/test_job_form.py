"""A job's form: valid and invalid input, what is stored, and the messages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from jobs.models import JobDefinition
from jobs.registry import job, unregister
from tests.jobs.admin.conftest import STAFF, form_data

ADD = "/admin/jobs/jobdefinition/add/"
CHANGE = "/admin/jobs/jobdefinition/greeting/change/"


def errors_of(answer: Any) -> dict[str, Any]:
    return dict(answer.context["adminform"].form.errors)


@pytest.mark.parametrize(("typed", "seconds"), [("90", 90), ("15m", 900), ("4h", 14_400), ("1d 12h", 129_600), ("0", 0)])
def test_an_interval_is_typed_as_a_duration(post_job: Any, make_job: Any, typed: str, seconds: int) -> None:
    definition = make_job()
    assert post_job(definition, interval_seconds=typed).status_code == 302
    definition.refresh_from_db()
    assert definition.interval_seconds == seconds


BAD_INPUT = [
    *[({"interval_seconds": value}, "interval_seconds") for value in ("-1", "1.5", "10000000000000", "soon", "", "367d")],
    *[({"trigger": "cron", "cron": value}, "cron") for value in ("61 * * * *", "0 0 31 2 *", "0 0 1--100000000 * *", "", "* * * *", "@fortnightly")],
    ({"timezone": "Europe/Wien"}, "timezone"),
    ({"timezone": "../../etc/passwd"}, "timezone"),
    ({"trigger": "once", "run_at": ""}, "run_at"),
    ({"trigger": "sometimes"}, "trigger"),
    ({"function": "ecco"}, "function"),
    ({"arg_times": "many"}, "arg_times"),
    ({"arg_tone": "shrill"}, "arg_tone"),
    ({"max_instances": "0"}, "max_instances"),
    ({"jitter_seconds": "2h"}, "jitter_seconds"),
    ({"starts_at": "2027-01-02T00:00:00", "ends_at": "2027-01-01T00:00:00"}, "ends_at"),
    ({"keep_runs": "-3"}, "keep_runs"),
    ({"timeout_seconds": "0"}, "timeout_seconds"),
]


@pytest.mark.parametrize(("typed", "field"), BAD_INPUT, ids=[f"{field}={list(typed.values())[-1]}" for typed, field in BAD_INPUT])
def test_bad_input_is_explained_at_its_field_and_nothing_is_stored(post_job: Any, make_job: Any, typed: dict[str, str], field: str) -> None:
    definition = make_job()
    answer = post_job(definition, title="typed before", **typed)
    assert field in errors_of(answer)
    assert "typed before" in answer.content.decode()
    definition.refresh_from_db()
    assert (definition.revision, definition.title, definition.interval_seconds) == (1, "", 3600)


def test_a_change_that_no_scheduler_applies_is_reported(post_job: Any, make_job: Any, scheduler_alive: Any) -> None:
    answer = post_job(make_job(), interval_seconds="15m")
    messages = [str(message) for message in answer.wsgi_request._messages]
    assert messages == ["Saved. No scheduler has applied it within a second. The jobs list shows when one does."]


@pytest.mark.once
@pytest.mark.alone
def test_without_a_scheduler_the_save_does_not_wait(post_job: Any, make_job: Any) -> None:
    definition, started = make_job(), time.perf_counter()
    answer = post_job(definition, interval_seconds="15m")
    assert time.perf_counter() - started < 0.9
    assert "No scheduler is running" in str(next(iter(answer.wsgi_request._messages)))


def test_the_history_has_author_source_and_reason(post_job: Any, make_job: Any) -> None:
    definition = make_job()
    post_job(definition, interval_seconds="15m", reason="Mod authors asked")
    record = definition.history.first()
    assert (record.author, record.source, record.history_change_reason, record.history_user.username) == ("user0", "admin", "Mod authors asked", "user0")


def test_a_save_without_a_change_makes_no_revision(post_job: Any, make_job: Any) -> None:
    definition = make_job(starts_at=now(), kwargs={"text": "hi", "loud": True})
    assert post_job(definition).status_code == 302
    definition.refresh_from_db()
    assert definition.revision == 1


def test_arguments_are_a_form_made_from_the_signature(admin: Client, post_job: Any, make_job: Any) -> None:
    definition = make_job(kwargs={"times": 2})
    form = admin.get(CHANGE).context["adminform"].form
    assert [type(form.fields[name]).__name__ for name in form.arguments] == ["CharField", "IntegerField", "TypedChoiceField", "TypedChoiceField", "FloatField"]
    assert form["arg_times"].value() == 2
    assert str(form.fields["arg_text"].help_text) == "Text. Default: hello"
    post_job(definition, arg_text="hey", arg_times="3", arg_loud="True", arg_tone="high", arg_factor="1.5")
    definition.refresh_from_db()
    assert definition.kwargs == {"text": "hey", "times": 3, "loud": True, "tone": "high", "factor": 1.5}


@pytest.mark.parametrize(
    ("name", "help_text"),
    [
        ("arg_text", "Text. Default: hello"),
        ("arg_times", "Whole number. Default: 1"),
        ("arg_loud", "Yes or no. Default: no"),
        ("arg_tone", "one of low, high (default: low)"),
        ("arg_factor", "Number, optional"),
    ],
)
def test_an_argument_field_states_its_type_and_default(admin: Client, make_job: Any, name: str, help_text: str) -> None:
    make_job()
    assert str(admin.get(CHANGE).context["adminform"].form.fields[name].help_text) == help_text


def test_a_choice_offers_the_default_of_the_function(admin: Client, make_job: Any) -> None:
    make_job()
    form = admin.get(CHANGE).context["adminform"].form
    assert [str(form.fields[name].choices[0][1]) for name in ("arg_loud", "arg_tone")] == ["default (no)", "default (low)"]


def test_a_required_argument_says_so(admin: Client, make_job: Any) -> None:
    make_job(function="needs_a_name", kwargs={"name": "Otto"})
    assert str(admin.get(CHANGE).context["adminform"].form.fields["arg_name"].help_text) == "Text, required"


def test_a_function_that_is_gone_is_named(post_job: Any, make_job: Any) -> None:
    assert errors_of(post_job(make_job(), function="pack_wrld"))["function"] == ["The function “pack_wrld” no longer exists."]


def test_arguments_without_a_known_signature_are_json(admin: Client, post_job: Any, make_job: Any) -> None:
    @job("takes_anything")
    def takes_anything(**anything: Any) -> None: ...

    definition = make_job(function="takes_anything", kwargs={"a": [1]})
    assert post_job(definition, kwargs='{"b": 2}').status_code == 302
    definition.refresh_from_db()
    assert definition.kwargs == {"b": 2}
    assert "kwargs" in errors_of(post_job(definition, kwargs="{nonsense"))
    assert "kwargs" in errors_of(post_job(definition, kwargs="[1]"))
    unregister("takes_anything")


def test_a_missing_required_argument_is_refused(admin: Client, make_job: Any, post_job: Any) -> None:
    assert "arg_name" in errors_of(post_job(make_job(), function="needs_a_name"))


def test_a_job_is_added(admin: Client) -> None:
    data = form_data(admin.get(f"{ADD}?function=needs_a_name").context["adminform"].form)
    data |= {"id": "hello", "title": "Hello", "interval_seconds": "1d", "arg_name": "Otto", "reason": "why not"}
    assert admin.post(ADD, {name: value for name, value in data.items() if value is not None}).status_code == 302
    definition = JobDefinition.objects.get(pk="hello")
    assert (definition.kwargs, definition.interval_seconds, definition.origin) == ({"name": "Otto"}, 86_400, "staff")


def test_an_id_that_is_taken_is_refused(admin: Client, make_job: Any) -> None:
    make_job()
    data = form_data(admin.get(f"{ADD}?function=echo").context["adminform"].form) | {"id": "greeting", "interval_seconds": "1d"}
    assert "id" in errors_of(admin.post(ADD, {name: value for name, value in data.items() if value is not None}))


class TestConflict:
    def save_late(self, admin: Client, definition: JobDefinition, theirs: dict[str, Any], typed: dict[str, str]) -> Any:
        data = form_data(admin.get(CHANGE).context["adminform"].form)
        definition.edit(STAFF, reason="it was urgent", **theirs)
        return admin.post(CHANGE, {name: value for name, value in (data | typed).items() if value is not None})

    def test_nothing_is_overwritten_and_the_second_user_sees_what_changed(self, admin: Client, make_job: Any) -> None:
        answer = self.save_late(admin, make_job(), {"interval_seconds": 60}, {"interval_seconds": "15m"})
        page = answer.content.decode()
        assert "mira changed this to 1m. Save again to use your value." in page
        assert "it was urgent" in page
        assert 'value="15m"' in page
        assert JobDefinition.objects.get().interval_seconds == 60

    def test_a_field_that_only_the_other_user_changed_is_taken_over(self, admin: Client, make_job: Any) -> None:
        definition = make_job()
        theirs = {"interval_seconds": 60, "coalesce": False, "kwargs": {"times": 4}, "ends_at": now() + timedelta(days=9)}
        answer = self.save_late(admin, definition, theirs, {"title": "Mine"})
        form = answer.context["adminform"].form
        assert (form["interval_seconds"].value(), form["coalesce"].value(), form["arg_times"].value(), form["title"].value()) == ("1m", False, "4", "Mine")
        data = {name: value for name, value in form_data(form).items() if value is not None}
        assert admin.post(CHANGE, data).status_code == 302
        definition.refresh_from_db()
        assert (definition.title, definition.interval_seconds, definition.coalesce, definition.kwargs) == ("Mine", 60, False, {"times": 4})

    def test_saving_again_stores_the_own_value(self, admin: Client, make_job: Any) -> None:
        definition = make_job()
        answer = self.save_late(admin, definition, {"interval_seconds": 60}, {"interval_seconds": "15m"})
        data = form_data(answer.context["adminform"].form)
        assert admin.post(CHANGE, {name: value for name, value in data.items() if value is not None}).status_code == 302
        definition.refresh_from_db()
        assert definition.interval_seconds == 900


class TestReset:
    PAGE = "/admin/jobs/jobdefinition/tidy/"

    @pytest.fixture(autouse=True)
    def tidy(self, db: None) -> Iterator[JobDefinition]:
        """A job from code whose interval staff have changed."""
        job("tidy", interval=timedelta(hours=1))(lambda: None)
        JobDefinition.objects.register_defaults()
        yield JobDefinition.objects.get(pk="tidy").edit(STAFF, interval_seconds=60)
        unregister("tidy")

    def reset_as_shown(self, admin: Client, page: str) -> Any:
        shown = re.search(r'<form id="reset-interval_seconds".*?name="expected_revision" value="(\d+)"', page, re.DOTALL)
        assert shown is not None
        return admin.post(f"{self.PAGE}reset/interval_seconds/", {"expected_revision": shown[1], "next": f"{self.PAGE}change/"}, follow=True)

    def test_a_field_is_reset_to_its_default(self, admin: Client) -> None:
        page = admin.get(f"{self.PAGE}change/").content.decode()
        assert "Default: 1h" in page
        self.reset_as_shown(admin, page)
        assert JobDefinition.objects.get(pk="tidy").interval_seconds == 3600

    def test_a_reset_does_not_overwrite_a_newer_change(self, admin: Client, tidy: JobDefinition) -> None:
        page = admin.get(f"{self.PAGE}change/").content.decode()
        tidy.edit(STAFF, interval_seconds=120)
        answer = self.reset_as_shown(admin, page)
        expected = "mira changed Tidy. Your change is not saved: check theirs and try again. interval: 1m → 2m."
        assert [str(message) for message in answer.context["messages"]] == [expected]
        assert JobDefinition.objects.get(pk="tidy").interval_seconds == 120
