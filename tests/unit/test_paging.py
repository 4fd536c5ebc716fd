"""Cursors come back as the place they stand for; words become a query that cannot be broken."""

import base64
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotekit import paging
from quotekit.errors import InvalidInputError

ROW = UUID("01900000-0000-7000-8000-000000000001")
TIMES = st.datetimes(timezones=st.just(UTC))
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False)


def cursor_of(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.text(), st.uuids())
def test_a_cursor_brings_back_text_and_id(value, row_id):
    assert paging.decode(paging.encode(value, row_id), str) == (value, row_id)


@given(TIMES, st.uuids())
def test_a_cursor_brings_back_a_time_to_the_microsecond(value, row_id):
    assert paging.decode(paging.encode(value, row_id), datetime.fromisoformat) == (value, row_id)


@given(AMOUNTS, st.uuids())
def test_a_cursor_brings_back_an_amount_exactly(value, row_id):
    assert paging.decode(paging.encode(value, row_id), Decimal) == (value, row_id)


@given(st.text())
def test_a_cursor_passes_through_an_address_unescaped(value):
    assert re.fullmatch(r"[A-Za-z0-9_-]+", paging.encode(value, ROW))


def test_no_cursor_is_the_beginning():
    assert paging.decode(None, Decimal) == (None, None)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "AAAA",
        "A=A=",
        "\0",
        cursor_of(None),
        cursor_of([]),
        cursor_of(["1"]),
        cursor_of(["1", str(ROW), "more"]),
        cursor_of(["1", "no id"]),
        cursor_of(["1", 7]),
        cursor_of(["1", None]),
        cursor_of([["1"], str(ROW)]),
        cursor_of([{}, str(ROW)]),
        cursor_of({"1": 2, "3": 4}),
        cursor_of(["no number", str(ROW)]),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        base64.urlsafe_b64encode(b"[" + b"9" * 5000 + b"," + b"]").decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_what_we_did_not_make_is_no_cursor(cursor):
    with pytest.raises(InvalidInputError) as refused:
        paging.decode(cursor, Decimal)

    assert refused.value.details == [{"field": "cursor", "message": "is not a cursor of this list"}]


@given(st.text())
def test_no_text_breaks_reading_a_cursor(text):
    try:
        value, row_id = paging.decode(text, datetime.fromisoformat)
    except InvalidInputError:
        return
    assert isinstance(value, datetime)
    assert isinstance(row_id, UUID)


@pytest.mark.parametrize(("rows", "shown", "more"), [(0, 0, False), (3, 3, False), (4, 3, True)])
def test_a_page_has_a_next_one_only_when_a_row_is_left(rows, shown, more):
    found = [(number, uuid4()) for number in range(rows)]

    page = paging.page(found, 3, lambda row: row)

    assert page.data == found[:shown]
    assert (page.next_cursor is not None) == more
    if page.next_cursor:
        assert paging.decode(page.next_cursor, int) == found[2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (None, None),
        ("", None),
        (" & | ! ", None),
        ("grace", "grace:*"),
        ("Grace  Hopper", "Grace:* & Hopper:*"),
        ("o'brien", "o:* & brien:*"),
        ("grace:*:*", "grace:*"),
        ("Zoë 中村", "Zoë:* & 中村:*"),
    ],
)
def test_words_are_looked_for_by_their_beginnings(query, expected):
    assert paging.words(query) == expected


@given(st.text())
def test_words_carry_no_operator_of_the_query_language(query):
    for word in (paging.words(query) or "x:*").split(" & "):
        assert word.endswith(":*")
        assert not set(word[:-2]) & set("&|!()<>:*'\\\" \t\n\0")
