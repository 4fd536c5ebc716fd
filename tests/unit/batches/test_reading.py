"""Uploads as records: however the bytes come, wherever reading begins again."""

import csv
import io
import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel, Field

from quotekit.batches import reading
from quotekit.batches.duplicates import Seen
from quotekit.batches.reading import START, Columns, Place, Record, RefusedFileError


class Thing(BaseModel):
    name: str
    tags: list[str] = []
    label: str | None = Field(default=None, alias="the_label")


def blocks(content: bytes, size: int, start: int = 0) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(start, len(content), size))


def ndjson(content: bytes, size: int = 1000, start: Place = START) -> list[Record]:
    return list(reading.ndjson(blocks(content, size, start.offset), start))


def rows(content: bytes, size: int = 1000, start: Place | None = None) -> list[Record]:
    columns, behind = reading.header(blocks(content, size), Thing)
    start = start or behind
    return list(reading.rows(blocks(content, size, start.offset), start, columns))


def test_each_line_of_ndjson_is_a_record_with_its_number_and_end() -> None:
    records = ndjson(b'{"a": 1}\r\n\n  \n{"b": 2}\n{"c"')

    assert [(r.line, r.content, r.after) for r in records] == [
        (1, b'{"a": 1}', Place(10, 1)),
        (4, b'{"b": 2}', Place(23, 4)),
        (5, b'{"c"', Place(27, 5)),
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_line() -> None:
    assert [r.content for r in ndjson(b'\xef\xbb\xbf{"a": 1}\n{}')] == [b'{"a": 1}', b"{}"]
    assert [r.content for r in ndjson(b"\xef\xbb\xbf{}")] == [b"{}"]


JSON_LINES = some.lists(some.one_of(some.just(""), some.text(max_size=20).map(json.dumps)))


@given(JSON_LINES, some.sampled_from(["\n", "\r\n"]), some.integers(1, 30), some.booleans())
def test_ndjson_reads_the_same_in_blocks_of_any_size_and_from_behind_any_record(
    texts: list[str], ending: str, size: int, ends: bool
) -> None:
    content = (ending.join(texts) + (ending if ends else "")).encode()

    whole = ndjson(content, size)

    assert [json.loads(r.text) for r in whole] == [json.loads(t) for t in texts if t]
    assert [r.line for r in whole] == [n for n, text in enumerate(texts, 1) if text]
    for number, record in enumerate(whole, 1):
        assert ndjson(content, size, record.after) == whole[number:]


CELLS = some.text(some.sampled_from('ab,"\n\r é€😀'), max_size=6)


@given(
    some.lists(some.tuples(CELLS.filter(bool), CELLS), max_size=6),
    some.sampled_from(["\n", "\r\n"]),
    some.integers(1, 30),
    some.booleans(),
)
def test_csv_reads_the_same_in_blocks_of_any_size_and_from_behind_any_row(
    table: list[tuple[str, str]], ending: str, size: int, marked: bool
) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows([("name", "the_label"), *table])
    content = (b"\xef\xbb\xbf" if marked else b"") + written.getvalue().encode()

    whole = rows(content, size)

    said = [{"name": a} | ({"the_label": b} if b else {}) for a, b in table]
    assert [r.content for r in whole] == said
    first = 2
    for number, (record, row) in enumerate(zip(whole, table, strict=True), 1):
        assert record.line == first
        first += 1 + "".join(row).count("\n")
        assert record.after.lines == first - 1
        assert rows(content, size, record.after) == whole[number:]
    assert whole == [] or whole[-1].after.offset == len(content)


def test_an_excel_file_reads_as_it_was_written() -> None:
    content = '\ufeffname,tags\r\n"Hopper, ""G""","[""a"", ""b""]"\r\n"two\r\nlines",\r\n'.encode()

    assert [(r.line, r.content) for r in rows(content)] == [
        (2, {"name": 'Hopper, "G"', "tags": ["a", "b"]}),
        (3, {"name": "two\r\nlines"}),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"a,b,c,d", "has 4 columns; the header has 3"),
        (b"a", "has 1 columns; the header has 3"),
        (b"a,[1,b", "tags: is not JSON"),
        (b'a,"[1"x,b', "',' expected after '\"'"),
        (b"a" * 200_000 + b",,", "field larger than field limit (131072)"),
        ((b"a" * 100_000 + b",") * 3, "has more than 262,144 bytes"),
    ],
)
def test_a_bad_row_is_told_and_the_next_is_read(line: bytes, problem: str) -> None:
    bad, good = rows(b"name,tags,the_label\n" + line + b"\nok,,\n")

    assert (bad.line, bad.content, bad.problem) == (2, None, problem)
    assert (good.line, good.content) == (3, {"name": "ok"})


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"", "the file has no header"),
        (b"\n\n", "the file has no header"),
        (b"name,colour\nA,red\n", "the header has an unknown column 'colour'"),
        (b"name;tags\nA;\n", "the header has an unknown column 'name;tags'"),
        (b"name,name\nA,B\n", "the header has the column 'name' twice"),
        (b"tags\n[]\n", "the header lacks the column 'name'"),
        (b"label,name\nA,B\n", "the header has an unknown column 'label'"),
        (b'"name\nA,B\n', "quotes that open in line 1 do not close"),
        (b"name\rA\rB\r", "the header cannot be read"),
        ("name\nA".encode("utf-16"), "line 1 is not UTF-8"),
    ],
)
def test_a_doubtful_header_refuses_the_file(header: bytes, told: str) -> None:
    with pytest.raises(RefusedFileError) as refused:
        rows(header)

    assert told in str(refused.value)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_is_not_utf_8_refuses_the_file_and_names_the_line(size: int) -> None:
    latin = "name\nGrace\nHélène\n".encode("latin-1")

    with pytest.raises(RefusedFileError, match="line 3 is not UTF-8"):
        rows(latin, size)
    with pytest.raises(RefusedFileError, match="line 3 is not UTF-8"):
        ndjson(latin, size)


@pytest.mark.parametrize("after", [b"", b"B\nC\n", b"B\n" * 200_000])
def test_quotes_that_do_not_close_refuse_the_file_as_they_swallow_rows(after: bytes) -> None:
    with pytest.raises(RefusedFileError, match="quotes that open in line 3 do not close"):
        rows(b'name\nA\n"B\nB\n' + after)


def test_a_long_line_of_ndjson_is_told_and_an_endless_one_refuses_the_file() -> None:
    long = b'"' + b"a" * reading.LONGEST_RECORD + b'"'

    bad, good = ndjson(long + b"\n{}\n", 65_536)

    assert bad.problem == "has more than 262,144 bytes"
    assert good.content == b"{}"
    with pytest.raises(RefusedFileError, match="a line has more than 4,194,304 bytes"):
        ndjson(long * 20, 65_536)


def test_lists_and_objects_are_columns_of_json() -> None:
    class Deeper(BaseModel):
        inner: Thing
        maybe: list[int] | None = None
        plain: int | None = None

    assert reading.nested(Deeper) == {"inner", "maybe"}
    assert Columns(["maybe"], frozenset({"maybe"})).content(["[1]"]) == {"maybe": [1]}


def test_a_key_is_known_from_its_second_time_on_however_many_there_are() -> None:
    seen = Seen()
    keys = [str(uuid4()) for _ in range(5000)]

    first = [seen.first(key, line) for line, key in enumerate(keys, 1)]
    second = [seen.first(key, line + 9000) for line, key in enumerate(keys, 1)]

    assert first == [None] * 5000
    assert second == list(range(1, 5001))
    assert len(seen) == 5000
