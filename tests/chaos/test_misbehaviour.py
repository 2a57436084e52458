"""No job function can stop the scheduler, and each run records what happened."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobs.models import Author, JobDefinition, JobRun
from tests.support.sample.schedulers import Schedulers, alive, children_of, descendants, seconds_between
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")
FOREVER = {"seconds": 3600}


@dataclass(frozen=True)
class Case:
    """A job function, and the outcome that its run must record."""

    function: str
    status: str
    error: str = ""
    kwargs: dict[str, Any] = field(default_factory=dict)
    executor: str = "local"
    timeout_seconds: int | None = None
    """The start of a process counts towards its time limit; on a busy machine it can use all of it, with the same outcome."""


CASES = [
    Case("sample_fail", "failed", "RuntimeError: it went wrong, as it should"),
    Case("sample_fail", "failed", "RuntimeError: it went wrong, as it should", executor="process"),
    Case("sample_exit", "failed", "SystemExit: enough"),
    Case("sample_exit", "failed", "SystemExit: enough", executor="process"),
    Case("sample_interrupt", "failed", "KeyboardInterrupt: "),
    Case("sample_return_lock", "failed", "NotJSON: the result (lock) is not JSON"),
    Case("sample_delete_itself", "failed", "ProtectedError"),
    Case("sample_archive_itself", "succeeded"),
    Case("sample_start_threads", "succeeded"),
    Case("sample_start_threads", "succeeded", executor="process"),
    Case("sample_spin", "succeeded", kwargs={"rounds": 20_000_000}),
    Case("sample_work", "timed_out", "time limit of 1 s; it did not stop", kwargs=FOREVER, timeout_seconds=1),
    Case("sample_work_async", "timed_out", "time limit of 1 s", kwargs=FOREVER, timeout_seconds=1),
    Case("sample_die", "failed", "ended without an outcome, with exit code 3", executor="process"),
    Case("sample_work", "timed_out", "time limit of 5 s", kwargs=FOREVER, executor="process", timeout_seconds=5),
    Case("sample_work", "failed", "unexpected keyword argument 'minutes'", kwargs={"minutes": 1}),
]


def flood(megabytes: int) -> list[Case]:
    return [
        Case("sample_print", "succeeded", kwargs={"megabytes": megabytes}),
        Case("sample_print", "succeeded", kwargs={"megabytes": megabytes}, executor="process"),
        Case("sample_log", "succeeded", kwargs={"megabytes": megabytes}),
        Case("sample_log", "succeeded", kwargs={"megabytes": megabytes}, executor="process"),
    ]


def complaints_about(case: Case, run: JobRun) -> list[str]:
    name = f"{case.function} in {case.executor}"
    found = []
    if run.status != case.status or case.error not in run.error:
        found.append(f"{name}: {run.status} {run.error!r}, expected {case.status} {case.error!r}")
    if case.function == "sample_log" and not (len(run.log) < 65_536 + 200 and "the first line" in run.log and "the last line" in run.log and "characters cut" in run.log):
        found.append(f"{name}: a log of {len(run.log)} characters")
    return found


@pytest.mark.parametrize("megabytes", [4, pytest.param(100, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_job_function_holds_the_scheduler_up_and_each_run_says_what_happened(schedulers: Schedulers, megabytes: int, workers: str) -> None:
    cases = CASES + flood(megabytes)
    definitions = [
        schedulers.job(f"case_{number:02}", case.function, 0, trigger="manual", kwargs=case.kwargs, executor=case.executor, timeout_seconds=case.timeout_seconds)
        for number, case in enumerate(cases)
    ]
    schedulers.job("witness", "sample_work_async")
    process = schedulers.start("--workers", workers, VS_SCHEDULER_THREADS="25")
    schedulers.wait_for_runs("witness", 1, "succeeded")
    runs = [definition.request_run(MIRA) for definition in definitions]
    ages = []

    def all_ended() -> bool:
        ages.append(schedulers.seconds_since_tick(process))
        return JobRun.objects.filter(pk__in=[run.pk for run in runs]).finished().count() == len(runs)

    wait_until(all_ended, 120, "some run never ended")
    rows = [JobRun.objects.get(pk=run.pk) for run in runs]
    assert [complaint for case, row in zip(cases, rows, strict=True) for complaint in complaints_about(case, row)] == []
    # A heartbeat is written every 2 s, so this is a tick's age of 2 s at most.
    assert max(ages) < 4
    waits = [seconds_between(run.scheduled_for, run.queued_at) for run in schedulers.runs("witness")]
    assert max(waits) < 2, "a slot was claimed late, so some tick took long"
    check_stuck(schedulers, process, workers)
    assert JobDefinition.objects.get(pk=definitions[7].pk).archived_at


def check_stuck(schedulers: Schedulers, process: subprocess.Popen[bytes], workers: str) -> None:
    """A thread that hangs ends with its worker; in the scheduler's own process it is reported."""
    expected = 1 if workers == "0" else 0
    schedulers.wait_for_heartbeats(process, 2)
    wait_until(lambda: schedulers.instance(process).threads_stuck == expected, 10, f"not {expected} stuck threads are reported")


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_thread_that_hangs_is_replaced_so_that_even_a_single_one_goes_on(schedulers: Schedulers, workers: str) -> None:
    hanging = schedulers.job("hanging", seconds=0, trigger="manual", kwargs=FOREVER, timeout_seconds=1)
    process = schedulers.start("--workers", workers, VS_SCHEDULER_THREADS="1")
    run = schedulers.wait_for_end(hanging.request_run(MIRA))
    assert run.status == "timed_out"
    schedulers.job("next")
    schedulers.wait_for_runs("next", 3, "succeeded")
    check_stuck(schedulers, process, workers)


def test_a_run_that_is_cancelled_by_its_row_ends_at_once_in_a_task_and_in_a_process(schedulers: Schedulers) -> None:
    schedulers.start()
    for name, fields in {"task": {"function": "sample_work_async"}, "process": {"function": "sample_work", "executor": "process"}}.items():
        run = schedulers.job(name, seconds=0, trigger="manual", kwargs=FOREVER, **fields).request_run(MIRA)
        schedulers.wait_for_entry("start", name, timeout=30)
        asked = run.request_cancel("mira")
        ended = schedulers.wait_for_end(run)
        assert (ended.status, ended.reason) == ("cancelled", "cancelled by mira")
        assert asked.cancel_requested_at
        assert ended.finished_at
        assert seconds_between(asked.cancel_requested_at, ended.finished_at) < 1.5


def test_a_process_that_does_not_hear_sigterm_is_killed_with_its_children(schedulers: Schedulers) -> None:
    process = schedulers.start()
    run = schedulers.job("deaf", "sample_deaf", 0, trigger="manual", executor="process").request_run(MIRA)
    [entry] = schedulers.wait_for_entry("start", "deaf", timeout=30)
    children = [entry.pid, *descendants(entry.pid)]
    assert len(children) == 2
    assert set(children) < set(children_of(process))
    run.request_cancel("mira")
    assert schedulers.wait_for_end(run).status == "cancelled"
    wait_until(lambda: not any(alive(child) for child in children), 1, f"left behind: {children}")


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_whose_process_cannot_be_started_fails_and_says_why(schedulers: Schedulers, tmp_path: Path, workers: str) -> None:
    """The interpreter that the scheduler was started with is gone, as after an upgrade of the machine; a fork server does not need it any more."""
    definition = schedulers.job("process", seconds=0, trigger="manual", executor="process")
    python = copy_of_environment(tmp_path / "venv")
    process = schedulers.site.start(str(python), "manage.py", "runscheduler", "--workers", workers, name="scheduler")
    schedulers.wait_for_tick(process)
    python.unlink()
    run = schedulers.wait_for_end(definition.request_run(MIRA))
    if workers == "1":
        assert run.status == "succeeded"
        return
    assert run.status == "failed"
    assert "FileNotFoundError" in run.error
    assert str(python) in run.error


def copy_of_environment(folder: Path) -> Path:
    """An interpreter of our environment under another path; returns that."""
    own = Path(sys.prefix)
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").symlink_to(own / "lib")
    shutil.copy(own / "pyvenv.cfg", folder)
    python = folder / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    return python


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_async_function_that_blocks_its_loop_does_not_keep_the_others_from_running(schedulers: Schedulers, workers: str) -> None:
    schedulers.job("others", "sample_work_async")
    blocking = schedulers.job("blocking", "sample_block_loop", 0, trigger="manual", kwargs=FOREVER, timeout_seconds=1)
    process = schedulers.start("--workers", workers)
    schedulers.wait_for_runs("others", 1, "succeeded")
    run = blocking.request_run(MIRA)
    schedulers.wait_for_entry("start", "blocking")
    assert schedulers.wait_for_end(run, timeout=20).status == "timed_out"
    schedulers.wait_for_runs("others", len(schedulers.runs("others", "succeeded")) + 3, "succeeded", timeout=20)
    check_stuck(schedulers, process, workers)
