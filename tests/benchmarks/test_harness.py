"""That `./dev bench` works: a few rows, a fraction of a second, and no word about how fast it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.databases import SQLite
from tests.benchmarks.report import BEGIN, END, line, write_page
from tests.benchmarks.result import Result, at_least, at_most, percentile

pytestmark = pytest.mark.once


def test_a_result_says_what_was_measured_and_whether_the_target_was_met() -> None:
    assert line(at_most("start", 1.25, 1.5, " s")).split() == ["met", "start:", "1.25", "s", "target", "≤", "1.50", "s"]
    assert at_least("rate", 9_000, 10_000, "/s").verdict == "**missed**"
    assert Result("a peer", "not measured here").verdict == ""


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


@pytest.mark.parametrize("name", ["lateness", "edits"])
def test_a_benchmark_runs_on_a_database_of_its_own(name: str, tmp_path: Path) -> None:
    from tests.benchmarks.__main__ import measure_one

    database = SQLite(tmp_path)
    database.prepare()
    found = measure_one(database, name, tmp_path, ["--quick"])
    assert found
    assert [result.what for result in found if result.measured == "the benchmark itself failed"] == []
    assert {result.database for result in found} == {"SQLite"}
