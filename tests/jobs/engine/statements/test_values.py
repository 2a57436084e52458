"""Values that are written as text, many at once, reach the database unchanged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.statements.postgresql import array
from jobs.engine.statements.sqlite import SQLiteStatements

YEARS = (datetime(1970, 1, 1), datetime(9998, 1, 1))  # noqa: DTZ001 -- hypothesis adds the zone
TIMES = st.datetimes(*YEARS, timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]))
TEXTS = st.one_of(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.sampled_from(["NULL", "null", '"', "\\", "\\n", "a,b", "{}", "\x01"]))
COLUMNS = [
    ("text", TEXTS),
    ("timestamptz", TIMES),
    ("bigint", st.integers(-(2**63), 2**63 - 1)),
    ("float8", st.floats(allow_nan=False, allow_infinity=False)),
]


@given(st.lists(st.none() | TIMES))
def test_times_written_together_are_those_written_one_by_one(times: list[datetime | None]) -> None:
    statements = SQLiteStatements()
    assert statements._write_times(times) == [statements.write_time(at) for at in times]


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize(("column", "values"), COLUMNS, ids=[column for column, _values in COLUMNS])
def test_postgresql_reads_the_values_of_an_array(column: str, values: st.SearchStrategy[object]) -> None:
    @given(st.lists(st.none() | values))
    def check(sent: list[object]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT %s::{column}[]", [array(sent)])
            assert cursor.fetchone()[0] == sent

    check()


@pytest.mark.postgresql
def test_a_number_of_more_than_64_bits_is_written_in_full() -> None:
    assert array([2**70, None]) == f"{{{2**70},NULL}}"
