"""`manage.py jobs`: data on stdout, exit codes for scripts."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from jobs.models import DatabaseEnvironment, JobDefinition, JobRun
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, define, seconds
from tests.support.rows import make_job, make_run

pytestmark = pytest.mark.django_db


def jobs(*arguments: str) -> str:
    out = io.StringIO()
    call_command("jobs", *arguments, stdout=out)
    return out.getvalue().strip()


def jobs_json(*arguments: str) -> Any:
    return json.loads(jobs(*arguments, "--json"))


def test_no_jobs_are_called_no_jobs() -> None:
    assert jobs("list") == "no jobs"
    assert jobs_json("list") == []


def test_the_list_says_schedule_and_next_run() -> None:
    define("tidy", interval_seconds=7200)
    ManualScheduler().reconcile(START)
    [row] = jobs_json("list")
    assert (row["id"], row["schedule"], row["next_run_time"]) == ("tidy", "every 2 hours", "2030-01-01T02:00:00+00:00")
    assert "every 2 hours" in jobs("list")


def test_a_job_is_shown_with_its_last_run() -> None:
    define("tidy")
    scheduler = ManualScheduler()
    scheduler.finish(scheduler.tick(START), START)
    scheduler.finish(scheduler.tick(START + seconds(61)), START + seconds(61))
    assert jobs_json("show", "tidy")["last_run"]["status"] == "succeeded"


def test_a_damaged_row_is_listed_and_says_what_is_wrong() -> None:
    define("broken", trigger="cron", cron="@daily")
    JobDefinition.objects.filter(pk="broken").update(cron="every now and then")
    assert jobs_json("list")[0]["schedule"] == "a schedule that cannot be read"
    assert "five fields" in jobs_json("show", "broken")["problem"]


def test_run_queues_a_run_with_other_arguments_and_the_person_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    define("tidy")
    answer = jobs_json("run", "tidy", "--kwargs", '{"limit": 7}')
    run = JobRun.objects.find(answer["id"])
    assert (run.status, run.kwargs, run.requested_by, run.cause) == ("queued", {"limit": 7}, "ada", "manual")


def test_arguments_that_do_not_fit_are_refused() -> None:
    define("tidy")
    with pytest.raises(CommandError, match="unexpected keyword argument 'colour'"):
        jobs("run", "tidy", "--kwargs", '{"colour": 1}')
    assert not JobRun.objects.exists()


@pytest.mark.parametrize("arguments", [("run", "x", "--kwargs", "[1]"), ("pause", "x", "--until", "soon"), ("next", "x", "--count", "few"), ("dance",)])
def test_arguments_that_make_no_sense_are_a_usage_error(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"argument|invalid"):
        jobs(*arguments)


@pytest.mark.parametrize("arguments", [("show", "nope"), ("run", "nope"), ("pause", "nope"), ("resume", "nope"), ("next", "nope"), ("cancel", "12345")])
def test_what_is_not_there_is_exit_code_three(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as caught:
        jobs(*arguments)
    assert caught.value.returncode == 3


def test_pause_and_resume_leave_their_author_and_reason_in_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    define("tidy")
    jobs("pause", "tidy", "--until", "2031-01-01T00:00+01:00", "--reason", "holidays")
    paused = JobDefinition.objects.find("tidy")
    assert paused.paused_until is not None
    assert paused.paused_until.isoformat() == "2030-12-31T23:00:00+00:00"
    assert paused.pause_reason == "holidays"
    latest = paused.history.latest()
    assert (latest.author, latest.source, latest.history_change_reason) == ("ada", "cli", "holidays")
    jobs("resume", "tidy")
    assert JobDefinition.objects.find("tidy").paused_until is None


def test_next_lists_fire_times() -> None:
    define("daily", trigger="cron", cron="0 12 * * *")
    assert len(jobs_json("next", "daily", "--count", "3")) == 3
    define("by_hand", trigger="manual")
    assert jobs("next", "by_hand") == "no further fire times"


def test_a_queued_run_is_cancelled_at_once() -> None:
    define("tidy")
    run = jobs_json("run", "tidy")
    assert jobs_json("cancel", str(run["id"]))["status"] == "cancelled"


def test_the_cancellation_of_a_running_run_is_requested() -> None:
    run = make_run(make_job(), status="running", finished_at=None, duration_seconds=None)
    assert jobs("cancel", str(run.pk)) == f"run {run.pk}: cancellation requested"
    run.refresh_from_db()
    assert run.cancel_requested_at is not None


def test_an_export_is_imported_elsewhere(tmp_path: Path) -> None:
    define("tidy", interval_seconds=7200, kwargs={"limit": 3})
    define("daily", trigger="cron", cron="@daily", timezone="Europe/Vienna")
    file = tmp_path / "jobs.json"
    file.write_text(jobs("export"))
    assert jobs_json("import", str(file)) == {"created": 0, "changed": 0, "unchanged": 2}
    JobDefinition.objects.find("tidy").delete()
    JobDefinition.objects.filter(pk="daily").update(cron="@hourly")
    assert jobs_json("import", str(file)) == {"created": 1, "changed": 1, "unchanged": 0}
    assert JobDefinition.objects.find("tidy").kwargs == {"limit": 3}
    assert JobDefinition.objects.find("daily").cron == "@daily"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting"),
        ('{"id": "x"}', "list of objects"),
        ('[{"id": "good", "function": "tests_nothing"}, {"id": "bad", "function": "tests_nothing", "interval_seconds": -1}]', "'bad': interval_seconds"),
        ('[{"id": "bad", "function": "tests_nothing", "colour": 1}]', "colour: there is no such field"),
    ],
)
def test_a_bad_import_changes_nothing(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "jobs.json"
    file.write_text(content)
    with pytest.raises(CommandError, match=message):
        jobs("import", str(file))
    assert not JobDefinition.objects.exists()


def answered_slots(job_id: str) -> datetime:
    """A job whose slots 60 s and 120 s after the time that is returned have their answers."""
    start = now() - seconds(150)
    define(job_id, created_at=start)
    scheduler = ManualScheduler()
    for elapsed in (1, 61, 121):
        scheduler.tick(start + seconds(elapsed))
    return start


def test_the_audit_exits_with_one_and_names_the_slot_when_a_row_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    start = answered_slots("robbed")
    assert jobs_json("audit") == {"slots": 2, "missing": 0, "surplus": 0, "jobs": []}
    slot = start + seconds(60)
    JobRun.objects.filter(job="robbed", scheduled_for=slot).delete()
    with pytest.raises(SystemExit) as caught:
        call_command("jobs", "audit")
    assert caught.value.code == 1
    assert f"robbed: {slot.isoformat()} has no run" in capsys.readouterr().out


def test_the_audit_names_a_run_that_answers_no_slot(capsys: pytest.CaptureFixture[str]) -> None:
    start = answered_slots("doubled")
    extra = start + seconds(90)
    JobRun.objects.create(job_id="doubled", scheduled_for=extra, status="missed", queued_at=extra, finished_at=extra)
    with pytest.raises(SystemExit):
        call_command("jobs", "audit")
    said = capsys.readouterr().out
    assert f"doubled: {extra.isoformat()} has a run and should not" in said
    assert said.endswith("2 slots of 1 jobs, 0 without a run, 1 runs too many\n")


def test_adopt_makes_a_copied_database_ours() -> None:
    DatabaseEnvironment.objects.create(name="production")
    assert DatabaseEnvironment.objects.foreign().get().name == "production"
    jobs("adopt")
    assert DatabaseEnvironment.objects.foreign().first() is None
