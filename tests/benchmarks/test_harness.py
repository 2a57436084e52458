"""`./dev bench` works: a few rows and a fraction of a second each, and no assertion about speed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.against import compare, ratios
from tests.benchmarks.databases import SQLite
from tests.benchmarks.measure import FAILED, measure
from tests.benchmarks.report import BEGIN, END, line, write_page
from tests.benchmarks.result import Result, at_least, at_most, percentile

pytestmark = pytest.mark.once


def test_a_result_says_what_was_measured_and_whether_the_target_was_met() -> None:
    assert line(at_most("start", 1.25, 1.5, " s")).split() == ["met", "start:", "1.25", "s", "target", "≤", "1.50", "s"]
    assert at_least("rate", 9_000, 10_000, "/s").verdict == "**missed**"
    assert Result("a peer", "not measured here").verdict == ""


def test_a_benchmark_in_which_nothing_ran_says_so_and_misses_its_target() -> None:
    assert line(at_most("lateness", percentile([], 0.5), 5, " ms")).split() == ["missed", "lateness:", "nothing", "was", "measured", "target", "≤", "5", "ms"]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0, 0.5, 1)] == [1.0, 2.0, 3.0]


def test_the_page_keeps_what_people_wrote_around_the_numbers(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\n## After\n")
    write_page([Result("a measurement", "12 ms", "≤ 15 ms", met=True, database="SQLite")], 60, postgres="", page=page)
    text = page.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN}")
    assert text.endswith(f"{END}\n\n## After\n")
    assert "| a measurement | 12 ms | ≤ 15 ms | met |" in text
    assert "old" not in text


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLite]:
    prepared = SQLite(tmp_path_factory.mktemp("bench"))
    with prepared.prepared():
        yield prepared


@pytest.mark.parametrize("name", ["lateness", "edits"])
def test_a_benchmark_runs_on_a_database_of_its_own(name: str, database: SQLite, tmp_path: Path) -> None:
    results = measure(database, name, tmp_path, ["--quick"])
    assert results
    assert [result.what for result in results if result.measured == FAILED] == []
    assert {result.database for result in results} == {"SQLite"}


def test_a_ratio_is_that_of_each_round_with_its_spread() -> None:
    measured = [("1000/s", "1100/s (note 5)"), ("1,000/s", "900/s"), ("2000/s", "2000/s")]
    turns = [([Result("rate", theirs)], [Result("rate, in other words", ours, database="SQLite")]) for theirs, ours in measured]
    assert list(ratios(turns)) == ["SQLite      1.000  rate, in other words: 1,000.00 before, 1,100.00 now (0.900 to 1.100 in 3 rounds)"]


def test_a_benchmark_that_only_one_checkout_has_is_not_compared() -> None:
    assert list(ratios([([Result("start", FAILED)], [Result("start", "1.5 s", database="SQLite")])])) == ["SQLite          -  start: not measured in every round"]


ANOTHER_CHECKOUT = """
import json, os, sys
from collections.abc import Iterator
from pathlib import Path
assert Path.cwd() == Path(os.environ["PYTHONPATH"]) == Path(__file__).parents[2], (Path.cwd(), __file__)
print(json.dumps([{"what": sys.argv[1], "measured": "7 ms", "target": "", "met": None, "database": ""}]))
"""


def test_each_checkout_is_measured_with_its_own_code(tmp_path: Path) -> None:
    trees = [tmp_path / "before", tmp_path / "now"]
    for tree in trees:
        package = tree / "tests" / "benchmarks"
        package.mkdir(parents=True)
        (package / "one.py").write_text(ANOTHER_CHECKOUT)
        (tree / "manage.py").write_text("import os; open(os.environ['VS_DATABASE_URL'].removeprefix('sqlite:///'), 'w')")
    before, now = (SQLite(tmp_path, tree) for tree in trees)
    with before.prepared(), now.prepared():
        assert list(compare((before, now), "start", 2, tmp_path, [])) == ["SQLite      1.000  start: 7.00 before, 7.00 now (1.000 to 1.000 in 2 rounds)"]
