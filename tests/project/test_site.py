"""The tests' own tools: what they promise to the other tests."""

from __future__ import annotations

import json
import signal
import sys

import psutil
import pytest
from django.contrib.auth.models import User

from jobs.models import SchedulerInstance
from tests.support.processes import Site
from tests.support.waiting import wait_until


@pytest.mark.once
def test_waiting_ends_with_the_answer() -> None:
    answers = iter([0, "", None, 7])
    assert wait_until(lambda: next(answers)) == 7


@pytest.mark.once
def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"the moon never rose \(waited 0.15 s, last answer False\)"):
        wait_until(lambda: False, timeout=0.05, message="the moon never rose")


def test_a_command_sees_the_rows_of_the_test_and_the_test_sees_its_rows(site: Site) -> None:
    site.superuser("ada")
    program = "from django.contrib.auth.models import User; User.objects.create(username='grace'); print(list(User.objects.values_list('username', flat=True)))"
    assert site.manage("shell", "--no-imports", "-c", program).stdout.strip() == "['ada', 'grace']"
    assert User.objects.filter(username="grace").exists()


def test_a_scheduler_ticks_on_the_database_of_the_test_and_ends_cleanly(site: Site) -> None:
    scheduler = site.start_scheduler()
    assert SchedulerInstance.objects.get().pid == scheduler.pid
    assert site.stop(scheduler) == 0
    assert [line["event"] for line in site.events(scheduler)][-1] == "scheduler_stopped"
    assert all(json.loads(line) for line in site.output(scheduler).splitlines())


@pytest.mark.once
def test_no_process_outlives_the_site(site: Site) -> None:
    site.start_web(workers=2)
    [server] = site.processes
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert len(family) == 3
    site.close()
    wait_until(lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family), message="a worker lives on")


@pytest.mark.once
def test_a_process_that_dies_of_an_exception_fails_the_test_that_started_it(site: Site) -> None:
    process = site.start(sys.executable, "-c", "raise RuntimeError('out of cheese')", name="broken")
    process.wait(10)
    with pytest.raises(AssertionError, match="out of cheese"):
        site.close()


@pytest.mark.once
def test_a_process_that_the_test_killed_does_not_fail_it(site: Site) -> None:
    process = site.start(sys.executable, "-c", "import time; time.sleep(60)", name="sleeper")
    assert site.stop(process, signal.SIGKILL) == -signal.SIGKILL
    site.close()
