"""Verbs on jobs: each needs its own permission and a POST, and records its author."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client

from jobs.admin.job.verbs import VERBS
from jobs.models import FOREVER, JobDefinition, JobRun
from tests.jobs.admin.conftest import STAFF

LIST = "/admin/jobs/jobdefinition/"
ONE = f"{LIST}greeting/"


def confirmed(client: Client, verb: str, **answers: Any) -> Any:
    return client.post(f"{ONE}{verb}/", {"confirmed": "yes"} | answers)


def on_many(client: Client, verb: str, *ids: str, **answers: Any) -> Any:
    return client.post(LIST, {"action": verb, "_selected_action": list(ids)} | answers)


def test_a_run_is_requested_with_other_arguments(admin: Client, make_job: Any) -> None:
    make_job(kwargs={"times": 2})
    assert "Text. Default: hello" in admin.get(f"{ONE}run/").content.decode()
    answer = confirmed(admin, "run", arg_text="hey", arg_times="3")
    run = JobRun.objects.get()
    assert answer["Location"] == f"/admin/jobs/jobrun/{run.pk}/change/"
    assert (run.kwargs, run.requested_by, run.cause, run.status) == ({"times": 3, "text": "hey"}, "user0", "manual", "queued")


def test_a_run_with_arguments_that_do_not_fit_is_not_requested(admin: Client, make_job: Any) -> None:
    make_job()
    answer = confirmed(admin, "run", arg_times="many")
    assert "arg_times" in answer.context["form"].errors
    assert not JobRun.objects.exists()


def test_a_confirmation_page_changes_nothing(admin: Client, make_job: Any) -> None:
    make_job()
    for verb in VERBS:
        assert admin.get(f"{ONE}{verb}/").status_code == 200
        assert admin.post(f"{ONE}{verb}/").status_code == 200
    assert JobDefinition.objects.get().revision == 1
    assert not JobRun.objects.exists()


def test_a_job_is_paused_with_a_reason_and_resumed(admin: Client, make_job: Any) -> None:
    definition = make_job()
    confirmed(admin, "pause", reason="disk is being replaced")
    definition.refresh_from_db()
    assert (definition.paused_until, definition.pause_reason) == (FOREVER, "disk is being replaced")
    assert "disk is being replaced" in admin.get(LIST).content.decode()
    confirmed(admin, "resume")
    definition.refresh_from_db()
    assert definition.paused_until is None


def test_a_pause_cannot_end_in_the_past(admin: Client, make_job: Any) -> None:
    make_job()
    assert "This time has passed." in confirmed(admin, "pause", until="2020-01-01T00:00:00").content.decode()
    assert JobDefinition.objects.get().paused_until is None


def test_a_copy_starts_switched_off_under_a_free_id(admin: Client, make_job: Any) -> None:
    make_job(kwargs={"times": 2})
    confirmed(admin, "duplicate")
    confirmed(admin, "duplicate")
    copies = JobDefinition.objects.filter(pk__startswith="greeting-copy").order_by("pk")
    assert [(copy.pk, copy.enabled, copy.kwargs) for copy in copies] == [("greeting-copy", False, {"times": 2}), ("greeting-copy2", False, {"times": 2})]


def test_a_job_is_archived_and_restored(admin: Client, make_job: Any) -> None:
    definition = make_job()
    confirmed(admin, "archive")
    definition.refresh_from_db()
    assert definition.archived_at is not None
    assert "restore it first" in confirmed(admin, "run").wsgi_request._messages._queued_messages[0].message
    confirmed(admin, "restore")
    definition.refresh_from_db()
    assert definition.archived_at is None


def test_many_jobs_are_asked_about_once_and_changed_together(admin: Client, make_job: Any) -> None:
    for job_id in ("a", "b", "c"):
        make_job(job_id)
    page = on_many(admin, "pause", "a", "b")
    assert b"Pause" in page.content
    on_many(admin, "pause", "a", "b", confirmed="yes", reason="moving house")
    assert list(JobDefinition.objects.filter(pause_reason="moving house").values_list("pk", flat=True)) == ["a", "b"]
    answer = on_many(admin, "run", "a", "c", confirmed="yes")
    assert [str(message) for message in answer.wsgi_request._messages._queued_messages] == ["2 runs requested."]
    assert set(JobRun.objects.values_list("job_id", flat=True)) == {"a", "c"}


def test_jobs_of_one_function_are_run_with_the_arguments_that_are_typed(admin: Client, make_job: Any) -> None:
    make_job("a", kwargs={"text": "mine", "times": 2})
    make_job("b", kwargs={"tone": "low"})
    page = on_many(admin, "run", "a", "b").content.decode()
    assert page.count("Empty: keep each job&#x27;s own value.") == 5
    on_many(admin, "run", "a", "b", confirmed="yes", arg_times="7", arg_tone="high")
    assert dict(JobRun.objects.values_list("job_id", "kwargs")) == {"a": {"text": "mine", "times": 7, "tone": "high"}, "b": {"times": 7, "tone": "high"}}


def test_jobs_that_are_run_without_typing_have_their_own_arguments(admin: Client, make_job: Any) -> None:
    make_job("a", kwargs={"times": 2})
    make_job("b", function="needs_a_name", kwargs={"name": "Otto"})
    on_many(admin, "run", "a", "b", confirmed="yes")
    assert set(JobRun.objects.values_list("job_id", "kwargs")) == {("a", None), ("b", None)}


def test_arguments_that_one_of_the_functions_does_not_take_start_no_run(admin: Client, make_job: Any) -> None:
    make_job("a")
    make_job("b", title="Call by name", function="needs_a_name", kwargs={"name": "Otto"})
    answer = on_many(admin, "run", "a", "b", confirmed="yes", kwargs='{"times": 3}')
    (problem,) = answer.context["form"].non_field_errors()
    assert problem.startswith("Call by name: got an unexpected keyword argument 'times'")
    assert "errornote" in answer.content.decode()
    assert "kwargs" in on_many(admin, "run", "a", "b", confirmed="yes", kwargs="{nonsense").context["form"].errors
    assert on_many(admin, "run", "a", "b", confirmed="yes", kwargs="[1]").context["form"].non_field_errors()
    assert not JobRun.objects.exists()


def test_a_job_whose_own_arguments_do_not_fit_keeps_the_others_from_running(admin: Client, make_job: Any) -> None:
    make_job("a")
    make_job("b")
    JobDefinition.objects.filter(pk="b").update(kwargs={"nonsense": 1})
    assert "b: got an unexpected keyword argument" in str(on_many(admin, "run", "a", "b", confirmed="yes").context["form"].errors)
    assert not JobRun.objects.exists()


def test_archived_jobs_say_why_they_do_not_run(admin: Client, make_job: Any) -> None:
    for job_id in ("a", "b"):
        make_job(job_id).archive(STAFF)
    answer = admin.post(f"{LIST}?state=archived", {"action": "run", "_selected_action": ["a", "b"], "confirmed": "yes"})
    assert [problem.partition(":")[0] for problem in answer.context["form"].non_field_errors()] == ["a", "b"]


def test_a_database_that_fails_half_way_leaves_no_run_of_the_others(admin: Client, make_job: Any) -> None:
    make_job("a")
    make_job("b")
    inserted: list[str] = []

    def fail_at_the_second(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "jobs_jobrun"'):
            inserted.append(sql)
            if len(inserted) == 2:
                raise OperationalError("the disk is full")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_at_the_second), pytest.raises(OperationalError):
        on_many(admin, "run", "a", "b", confirmed="yes")
    assert not JobRun.objects.exists()


def test_an_archived_job_is_left_out_of_an_action_on_the_list(admin: Client, make_job: Any) -> None:
    make_job("a")
    make_job("b").archive(STAFF)
    on_many(admin, "run", "a", "b", confirmed="yes")  # the list without a filter has no archived jobs
    assert list(JobRun.objects.values_list("job_id", flat=True)) == ["a"]


WITHOUT = sorted({verb.permission for verb in VERBS.values()})


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_asks_its_own_permission(client_with: Any, make_job: Any, verb: str) -> None:
    make_job()
    others = [name for name in (*WITHOUT, "view_jobdefinition", "change_jobdefinition") if name != VERBS[verb].permission]
    client = client_with(*others)
    assert client.get(f"{ONE}{verb}/").status_code == 403
    assert confirmed(client, verb).status_code == 403
    assert on_many(client, verb, "greeting", confirmed="yes").status_code == 403
    assert f'value="{verb}"' not in client.get(LIST).content.decode()
    assert JobDefinition.objects.get().revision == 1
    assert not JobRun.objects.exists()
    assert client_with(VERBS[verb].permission, "view_jobdefinition").get(f"{ONE}{verb}/").status_code == 200


def test_a_viewer_sees_everything_and_changes_nothing(viewer: Client, make_job: Any, make_run: Any) -> None:
    run = make_run(make_job(title="Greet everybody"))
    for path in ("/admin/", LIST, f"{ONE}change/", f"{ONE}history/", "/admin/jobs/jobrun/", f"/admin/jobs/jobrun/{run.pk}/change/"):
        page = viewer.get(path)
        assert page.status_code == 200, path
        assert path == "/admin/" or "Greet everybody" in page.content.decode(), path
        assert "vs-switch" not in page.content.decode()
    forged = {
        f"{ONE}change/": {"title": "x"},
        f"{ONE}inline-edit/": {"enabled": "off"},
        f"{ONE}reset/interval_seconds/": {},
        f"{ONE}revert/1/": {},
        f"{LIST}add/": {"id": "x"},
        f"/admin/jobs/jobrun/{run.pk}/cancel/": {},
        f"/admin/jobs/jobrun/{run.pk}/again/": {},
        f"/admin/jobs/jobrun/{run.pk}/change/": {},
        LIST: {"action": "delete_selected", "_selected_action": "greeting"},
    }
    for path, data in forged.items():
        answer = viewer.post(path, data)
        assert answer.status_code in ({200} if path.endswith(f"{run.pk}/change/") else {403}), path
    assert JobDefinition.objects.get().revision == 1


def test_a_post_without_the_csrf_token_is_refused(make_job: Any) -> None:
    make_job()
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    for path in (f"{ONE}run/", f"{ONE}pause/", f"{ONE}inline-edit/", f"{ONE}change/", f"{ONE}revert/1/", LIST):
        assert client.post(path, {"confirmed": "yes"}).status_code == 403, path


def test_a_get_changes_nothing(admin: Client, make_job: Any, make_run: Any) -> None:
    run = make_run(make_job(), "queued")
    for path in (f"{ONE}inline-edit/", f"{ONE}reset/title/", f"{ONE}revert/1/", f"/admin/jobs/jobrun/{run.pk}/cancel/", f"/admin/jobs/jobrun/{run.pk}/again/"):
        assert admin.get(path).status_code == 405, path


def test_an_anonymous_user_is_sent_to_the_login_page(client: Client, make_job: Any) -> None:
    make_job()
    for path in (LIST, f"{ONE}change/", f"{ONE}run/", f"{LIST}preview/"):
        assert client.get(path)["Location"].startswith("/admin/login/"), path


def test_the_stock_pages_are_gone(admin: Client) -> None:
    for path in ("/admin/django_apscheduler/djangojob/", "/admin/django_apscheduler/djangojobexecution/"):
        assert admin.get(path).status_code == 404
