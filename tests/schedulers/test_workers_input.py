"""Numbers of workers that make no sense, apps that workers cannot be forked from, and a log that is not read."""

from __future__ import annotations

import sys

import pytest

from jobs.models import Author, JobDefinition, JobRun
from tests.support.sample.schedulers import Schedulers, seconds_between
from tests.support.waiting import let_pass, wait_until

MIRA = Author(name="mira", source="admin")


@pytest.mark.once
@pytest.mark.parametrize("value", ["257", "-1", "x", "1.5", " "])
def test_a_bad_number_of_workers_in_the_environment_ends_the_start_with_one_line(schedulers: Schedulers, value: str) -> None:
    schedulers.site.env["VS_SCHEDULER_WORKERS"] = value
    done = schedulers.site.manage("runscheduler", "--once", check=False)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("vsadmin: VS_SCHEDULER_WORKERS: ")


@pytest.mark.once
@pytest.mark.parametrize("value", ["300", "257", "-1", "x", "1.5", "", "٣"])
def test_a_bad_number_of_workers_on_the_command_line_ends_the_start_and_says_what_is_expected(schedulers: Schedulers, value: str) -> None:
    done = schedulers.site.manage("runscheduler", f"--workers={value}", check=False)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if "error" in line]
    assert "from 0 to 256" in line
    assert "Traceback" not in done.stderr


def test_an_app_whose_import_starts_a_thread_is_named_and_its_jobs_run_all_the_same(schedulers: Schedulers) -> None:
    schedulers.job("witness")
    process = schedulers.start("--workers", "2", DJANGO_SETTINGS_MODULE="tests.support.threaded.settings")
    schedulers.wait_for_runs("witness", 1, "succeeded")
    found = wait_until(lambda: schedulers.site.events(process, "scheduler_worker_unclean"), 10, "no warning")
    assert all("the thread 'started-by-an-import'" in line["problem"] for line in found)
    assert schedulers.site.stop(process) == 0


@pytest.mark.parametrize("workers", ["2", "0"])
def test_a_log_that_is_never_read_stops_neither_ticks_nor_runs(schedulers: Schedulers, workers: str) -> None:
    """A pipe holds 64 KiB; each of these runs writes 500 KiB, and there are ten a second."""
    JobDefinition.objects.bulk_create([JobDefinition(id=f"chatty_{number}", function="sample_chat", kwargs={"lines": 2000}, interval_seconds=1) for number in range(4)])
    command = f"exec {sys.executable} manage.py runscheduler --workers {workers} > >(exec sleep 600) 2>&1"
    process = schedulers.site.start("bash", "-c", command, name="scheduler")
    schedulers.wait_for_tick(process)
    schedulers.job("witness")
    schedulers.wait_for_runs("chatty_0", 8, "succeeded", timeout=40)
    ages: list[float] = []
    count = len(schedulers.runs("witness", "succeeded"))

    def went_on() -> bool:
        ages.append(schedulers.seconds_since_tick(process))
        return len(schedulers.runs("witness", "succeeded")) >= count + 4

    wait_until(went_on, 20, "the witness does not run")
    assert max(ages) < 4
    late = [seconds_between(run.scheduled_for, run.started_at) for run in schedulers.runs("witness", "succeeded") if run.started_at]
    assert sorted(late)[len(late) // 2] < 1
    schedulers.site.stop(process, timeout=30)
    assert not JobRun.objects.filter(job="witness", status="abandoned").exists()


def test_a_fork_server_that_cannot_fork_is_asked_again_and_not_fifty_times_a_second(schedulers: Schedulers) -> None:
    """The limit of processes or of descriptors is reached: workers cannot be replaced for a while."""
    schedulers.job("witness")
    process = schedulers.site.start("bash", "-c", f"ulimit -n 30; exec {sys.executable} manage.py runscheduler --workers 20", name="scheduler")
    wait_until(lambda: schedulers.site.events(process, "scheduler_worker_died") or process.poll() is not None, 20, "no worker failed to start")
    let_pass(5, because="how often it tries is the subject")
    assert 1 <= len(schedulers.site.events(process, "scheduler_worker_died")) < 15
    assert schedulers.site.events(process, "scheduler_workers_failed") == []
