"""Cells of a CSV: read back as they were, executed by nobody."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quotekit.cells import FORMULA, cell, line

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(TEXTS, min_size=2))
@example(["=1+1", '"quoted", and\r\nbroken'])
@example(["", ""])
def test_a_row_reads_back_as_it_was_and_no_cell_is_a_formula(texts: list[str]) -> None:
    written = line(cell(text) for text in texts).decode()

    (read,) = csv.reader(io.StringIO(written, newline=""))

    assert written.endswith("\r\n")
    assert [one.removeprefix("'") for one in read] == [text.removeprefix("'") for text in texts]
    assert not any(one.lstrip(" ").startswith(FORMULA) for one in read)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (True, "true"),
        (datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T23:00:00Z"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        ("-1", "'-1"),
    ],
)
def test_a_cell_says_it_plainly(value: object, written: str) -> None:
    assert cell(value) == written


def test_an_amount_below_nothing_stays_a_number() -> None:
    assert cell("-1.00", is_amount=True) == "-1.00"
