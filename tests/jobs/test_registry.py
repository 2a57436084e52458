from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import override_settings
from structlog.testing import capture_logs

from jobs.exceptions import FunctionExists, NoCurrentRun, UnknownFunction
from jobs.registry import all_functions, current_run, find_current_run, function_choices, get_function, job, register_default_jobs, unregister

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    for name in ("tests_one", "tests_two"):
        unregister(name)


def one() -> None: ...


def two(limit: int, *, url: str = "x") -> None: ...


async def later() -> None: ...


def test_a_registered_function_is_found_by_its_name_and_still_itself() -> None:
    assert job("tests_one", title="The first")(one) is one
    assert get_function("tests_one").function is one
    assert ("tests_one", "The first") in function_choices()
    assert [entry.name for entry in all_functions()] == sorted(entry.name for entry in all_functions())


def test_a_title_that_nobody_gave_is_made_from_the_name() -> None:
    job("tests_one")(one)
    assert get_function("tests_one").title == "Tests one"


def test_two_functions_cannot_have_one_name() -> None:
    job("tests_one")(one)
    with pytest.raises(FunctionExists, match=r"two job functions are registered as 'tests_one': .*\.one and .*\.two; rename one of them"):
        job("tests_one")(two)
    assert get_function("tests_one").function is one


def test_a_module_that_is_imported_twice_registers_once() -> None:
    job("tests_one")(one)
    job("tests_one", title="Again")(one)
    assert get_function("tests_one").title == "Again"


def test_whether_a_function_is_async_is_known_when_it_is_registered() -> None:
    job("tests_one")(one)
    job("tests_two")(later)
    assert [get_function(name).is_async for name in ("tests_one", "tests_two")] == [False, True]


def test_an_unknown_name_is_answered_with_the_nearest_known() -> None:
    job("tests_one")(one)
    with pytest.raises(UnknownFunction, match="no job function is registered as 'test_one'; the nearest registered name is 'tests_one'"):
        get_function("test_one")


def test_a_function_without_a_schedule_asks_for_no_definition() -> None:
    job("tests_one")(one)
    assert get_function("tests_one").definition_defaults() is None


def test_the_schedule_in_the_code_is_what_the_definition_starts_with() -> None:
    job("tests_one", interval=timedelta(minutes=2), misfire_grace_seconds=None)(one)
    job("tests_two", cron="@daily")(two)
    assert get_function("tests_one").definition_defaults() == {
        "title": "Tests one",
        "function": "tests_one",
        "trigger": "interval",
        "interval_seconds": 120,
        "misfire_grace_seconds": None,
    }
    assert (get_function("tests_two").definition_defaults() or {})["cron"] == "@daily"


@override_settings(TESTS_INTERVAL=7)
def test_a_setting_wins_over_the_code() -> None:
    job("tests_one", interval=timedelta(hours=1), setting="TESTS_INTERVAL")(one)
    assert (get_function("tests_one").definition_defaults() or {})["interval_seconds"] == 7


def test_arguments_that_do_not_fit_are_explained_with_what_would() -> None:
    job("tests_two")(two)
    entry = get_function("tests_two")
    assert entry.bind({"limit": 1}) is None
    assert entry.bind({}) == "missing a required argument: 'limit'; tests_two takes (limit: 'int', *, url: 'str' = 'x')"
    assert "got an unexpected keyword argument 'speed'" in (entry.bind({"limit": 1, "speed": 2}) or "")


def test_outside_a_job_function_there_is_no_current_run() -> None:
    assert find_current_run() is None
    with pytest.raises(NoCurrentRun):
        current_run()


@pytest.mark.django_db
def test_missing_default_definitions_are_made_and_logged() -> None:
    job("tests_one", interval=timedelta(hours=1))(one)
    job("tests_two")(two)
    with capture_logs() as logged:
        made = [row.pk for row in register_default_jobs()]
    assert "tests_one" in made
    assert "tests_two" not in made  # it has no schedule
    assert [line["job"] for line in logged if line["event"] == "job_registered"] == made
    assert logged[-1] == {"event": "default_jobs_registered", "made": len(made), "total": len(made), "log_level": "info"}
    assert register_default_jobs() == []
