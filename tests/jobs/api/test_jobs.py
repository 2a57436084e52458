from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.utils.timezone import now

from jobs.models import JobDefinition
from tests.support.api import ROOT, Caller, data, problem
from tests.support.rows import make_job, make_many_jobs, make_run, schedule
from vsadmin.models import ApiKey

pytestmark = pytest.mark.django_db


def ids(caller: Caller, query: str) -> list[str]:
    return [job["id"] for job in data(caller.get(f"/jobs{query}"))["jobs"]]


def test_the_four_keys_of_existing_clients_are_as_they_were(admin: Caller) -> None:
    job = make_job("mod_cache_refresh", interval_seconds=3600)
    schedule(job, datetime(2026, 11, 21, 12, tzinfo=UTC))
    shown = data(admin.get("/jobs"))["jobs"][0]
    assert {name: shown[name] for name in ("id", "next_run_time", "trigger_type", "trigger_details")} == {
        "id": "mod_cache_refresh",
        "next_run_time": "2026-11-21T12:00:00Z",
        "trigger_type": "interval",
        "trigger_details": "every 3600 seconds",
    }


def test_a_deleted_job_is_archived_and_can_be_restored(admin: Caller) -> None:
    job = make_job("backup")
    make_run(job)
    assert data(admin.delete("/jobs/backup")) == {"message": "Job 'backup' deleted"}
    assert ids(admin, "") == []
    assert ids(admin, "?archived=true") == ["backup"]
    assert len(data(admin.get("/jobs/backup/runs"))["runs"]) == 1
    problem(admin.post("/jobs/backup/run"), 409, "JOB_ARCHIVED")
    assert data(admin.post("/jobs/backup/restore"))["job"]["archived_at"] is None
    assert ids(admin, "") == ["backup"]


def test_the_last_run_is_the_one_of_the_latest_slot(admin: Caller) -> None:
    job = make_job()
    slot = now()
    make_run(job, slot - timedelta(hours=1), status="failed")
    latest = make_run(job, slot, status="succeeded", duration_seconds=2.5)
    shown = data(admin.get("/jobs"))["jobs"][0]["last_run"]
    assert (shown["id"], shown["status"], shown["duration"]) == (latest.pk, "succeeded", 2.5)


def test_jobs_are_found_filtered_and_ordered(admin: Caller) -> None:
    alpha = make_job("alpha", title="Zebra", trigger="cron", cron="@daily")
    beta = make_job("beta", title="Yak", enabled=False)
    make_job("gamma", title="Xerus", function="game_server_watch")
    schedule(alpha, now() - timedelta(minutes=1))
    schedule(beta, now() + timedelta(minutes=1))
    make_run(alpha, status="failed")
    make_run(beta)
    assert ids(admin, "?search=yAk") == ["beta"]
    assert ids(admin, "?function=game_server_watch") == ["gamma"]
    assert ids(admin, "?trigger=cron") == ["alpha"]
    assert ids(admin, "?enabled=false") == ["beta"]
    assert ids(admin, "?overdue=true") == ["alpha"]
    assert ids(admin, "?overdue=false") == ["beta", "gamma"]
    assert ids(admin, "?last_status=failed") == ["alpha"]
    assert ids(admin, "?order=title") == ["gamma", "beta", "alpha"]
    assert ids(admin, "?order=-id") == ["gamma", "beta", "alpha"]
    assert ids(admin, "?order=next_run_time") == ["alpha", "beta", "gamma"]
    assert ids(admin, "?order=-next_run_time") == ["beta", "alpha", "gamma"]


def test_next_leads_through_all_pages_and_keeps_the_filter(admin: Caller) -> None:
    make_many_jobs(5)
    make_job("other")
    page = data(admin.get("/jobs?search=job-&limit=2"))
    found = [job["id"] for job in page["jobs"]]
    assert page["total"] == 5
    while page["next"]:
        page = data(admin.get(page["next"].removeprefix("http://testserver" + ROOT)))
        found += [job["id"] for job in page["jobs"]]
    assert found == [f"job-{number:05}" for number in range(5)]


def test_a_page_of_ten_thousand_jobs_takes_four_queries(django_assert_max_num_queries: Any) -> None:
    make_many_jobs(10_000)
    for number in range(0, 100, 2):
        make_run(JobDefinition(id=f"job-{number:05}"))
    _row, key = ApiKey.objects.issue("test", "admin", "tester")
    caller = Caller(**{"X-API-Key": key})
    caller.get("/auth/me")
    with django_assert_max_num_queries(4):
        page = data(caller.get("/jobs?limit=100"))
    assert page["total"] == 10_000
    assert [job["last_run"] is not None for job in page["jobs"]] == [True, False] * 50


DAMAGE = {
    "a function that is gone": ("function", "gone"),
    "an unknown zone": ("timezone", "Mars/Olympus"),
    "arguments that are a list": ("kwargs", [1, 2]),
    "arguments that are a text": ("kwargs", "limit=3"),
    "arguments that do not fit": ("kwargs", {"nonsense": 1}),
}


@pytest.mark.parametrize(("field", "value"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_row_is_listed_with_its_problem(field: str, value: object, admin: Caller) -> None:
    make_job("good")
    make_job("bad")
    JobDefinition.objects.filter(pk="bad").update(**{field: value})
    bad, good = data(admin.get("/jobs"))["jobs"]
    assert bad["problem"]
    assert good["problem"] is None
    assert data(admin.get("/jobs/bad/upcoming"))["problem"] == bad["problem"]


@pytest.mark.parametrize("cron", ["61 * * * *", "no cron", "* * *"])
def test_a_damaged_cron_expression_is_listed_with_its_problem(cron: str, admin: Caller) -> None:
    make_job("bad", trigger="cron", cron="@daily")
    JobDefinition.objects.filter(pk="bad").update(cron=cron)
    assert data(admin.get("/jobs"))["jobs"][0]["problem"]


def test_the_database_refuses_a_cron_job_without_an_expression() -> None:
    make_job("bad", trigger="cron", cron="@daily")
    with pytest.raises(IntegrityError):
        JobDefinition.objects.filter(pk="bad").update(cron="")


@pytest.mark.sqlite
@pytest.mark.parametrize("poison", ["{broken", "NaN", '{"limit": Infinity}', '"\\ud800"', "1e999"])
def test_poisoned_json_breaks_neither_the_list_nor_the_answer(poison: str, admin: Caller) -> None:
    make_job("bad")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute("UPDATE jobs_jobdefinition SET kwargs = %s", [poison])
        cursor.execute("PRAGMA ignore_check_constraints = OFF")
    answer = admin.get("/jobs")
    assert data(answer)["jobs"][0]["problem"]
    assert b"NaN" not in answer.content.replace(b'"NaN"', b"")
    assert b"Infinity" not in answer.content.replace(b'"Infinity"', b"")


def test_a_new_job_is_answered_with_its_address_and_revision(admin: Caller, copy_world: str) -> None:
    body = {"id": "nightly", "title": "Nightly", "function": copy_world, "kwargs": {"target": "/backup"}, "trigger": "cron", "cron": "30 2 * * *"}
    answer = admin.post("/jobs", body)
    made = data(answer, 201)["job"]
    assert (made["id"], made["schedule"], made["origin"]) == ("nightly", "at 02:30 every day, UTC", "staff")
    assert answer["ETag"].startswith('"1-')
    assert answer["Location"].endswith(f"{ROOT}/jobs/nightly")
    assert data(admin.get("/jobs/nightly"))["job"] == made
    assert JobDefinition.history.filter(id="nightly", author="VS_API_KEY_ADMIN", source="api").count() == 1


def test_an_id_is_given_once(admin: Caller) -> None:
    body = {"id": "backup", "function": "mod_cache_refresh"}
    data(admin.post("/jobs", body), 201)
    problem(admin.post("/jobs", body), 409, "JOB_EXISTS")
    admin.delete("/jobs/backup")
    assert "restore" in problem(admin.post("/jobs", body), 409, "JOB_EXISTS")["detail"]


def test_a_change_stores_what_was_said_and_nothing_else(admin: Caller) -> None:
    make_job(title="Backup", interval_seconds=60, keep_runs=7)
    answer = admin.patch("/jobs/backup", {"interval_seconds": 90, "timeout_seconds": None})
    changed = data(answer)["job"]
    assert (changed["interval_seconds"], changed["title"], changed["keep_runs"], changed["revision"]) == (90, "Backup", 7, 2)
    assert answer["ETag"].startswith('"2-')


def test_if_match_guards_against_a_lost_edit(admin: Caller) -> None:
    make_job()
    data(admin.patch("/jobs/backup", {"title": "One"}, **{"If-Match": '"1"'}))
    answer = admin.patch("/jobs/backup", {"title": "Two"}, **{"If-Match": '"1"'})
    assert problem(answer, 412, "REVISION_MISMATCH")["revision"] == 2
    assert answer["ETag"] == '"2"'
    data(admin.patch("/jobs/backup", {"title": "Three"}, **{"If-Match": "*"}))
    problem(admin.patch("/jobs/backup", {"title": "Four"}, **{"If-Match": "seven"}), 412, "REVISION_MISMATCH")
    assert JobDefinition.objects.get().title == "Three"


def test_pausing_and_resuming(admin: Caller) -> None:
    make_job()
    until = datetime(2030, 1, 1, tzinfo=UTC)
    paused = data(admin.post("/jobs/backup/pause", {"until": until.isoformat(), "reason": "holidays"}))["job"]
    assert (paused["paused_until"], paused["pause_reason"]) == ("2030-01-01T00:00:00Z", "holidays")
    assert data(admin.post("/jobs/backup/resume"))["job"]["paused_until"] is None
    assert data(admin.post("/jobs/backup/pause"))["job"]["paused_until"].startswith("9999")


def test_upcoming_and_preview_say_when_a_job_fires(admin: Caller) -> None:
    make_job(trigger="cron", cron="0 3 * * *", timezone="Europe/Vienna")
    upcoming = data(admin.get("/jobs/backup/upcoming?count=3"))
    preview = data(admin.post("/jobs/preview", {"trigger": "cron", "cron": "0 3 * * *", "timezone": "Europe/Vienna", "count": 3}))
    assert upcoming == preview
    assert len(upcoming["upcoming"]) == 3
    assert upcoming["schedule"] == "at 03:00 every day, Europe/Vienna"
    assert JobDefinition.objects.count() == 1


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_unknown_job_is_404(method: str, admin: Caller) -> None:
    assert "'none'" in problem(admin.ask(method, "/jobs/none", {}), 404, "JOB_NOT_FOUND")["detail"]


@pytest.mark.parametrize("action", ["run", "pause", "resume", "restore"])
def test_an_unknown_job_can_do_nothing(action: str, admin: Caller) -> None:
    problem(admin.post(f"/jobs/none/{action}"), 404, "JOB_NOT_FOUND")


def test_functions_tell_their_parameters(admin: Caller, copy_world: str) -> None:
    functions = {function["name"]: function for function in data(admin.get("/functions"))["functions"]}
    assert functions[copy_world]["parameters"] == ["target: 'str'", "limit: 'int' = 10"]
    assert functions["mod_cache_refresh"]["defaults"]["trigger"] == "interval"
