"""Reading an upload: NDJSON or CSV in blocks of bytes, as records that know where they end.

Nothing is held but a block and the record at hand, and reading can begin again behind any record.
Text is UTF-8, with or without a byte order mark; lines end in LF or CRLF. What makes the whole file
doubtful raises RefusedFileError; what is wrong with one record is its `problem`.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

LONGEST_RECORD: Final = 262_144  # bytes of one item
LONGEST_LINE: Final = 4_194_304  # bytes behind which a line is not even looked for
MARK: Final = b"\xef\xbb\xbf"


class RefusedFileError(Exception):
    """A file that cannot be read as a whole; the message is for whoever sent it."""


class Place(NamedTuple):
    """A point between two records: bytes and lines before it."""

    offset: int = 0
    lines: int = 0


START: Final = Place()


class Line(NamedTuple):
    number: int
    end: int
    content: bytes  # without its LF


class Record(NamedTuple):
    """One item as it was sent.

    `line` is where it begins, `after` the place behind it. `content` is what to check: JSON text,
    or the columns of a row; None when there is a `problem`. `text` shows it to a person.
    """

    line: int
    after: Place
    content: bytes | Mapping[str, Any] | None
    text: str | bytes
    problem: str | None = None


def lines(blocks: Iterable[bytes], start: Place) -> Iterator[Line]:
    """The lines behind a place. Raises RefusedFileError for what is not UTF-8."""
    offset, number = start
    rest = b""
    for block in blocks:
        whole = rest + block if rest else block
        cut = whole.rfind(b"\n") + 1
        rest = whole[cut:]
        if len(rest) > LONGEST_LINE:
            raise RefusedFileError(f"a line has more than {LONGEST_LINE:,} bytes")
        if not cut:
            continue
        complete = whole[: cut - 1]
        _check(complete, number)
        for content in complete.split(b"\n"):
            number += 1
            offset += len(content) + 1
            yield Line(number, offset, content.removeprefix(MARK) if number == 1 else content)
    if rest:
        _check(rest, number)
        yield Line(number + 1, offset + len(rest), rest.removeprefix(MARK) if number == 0 else rest)


def _check(content: bytes, before: int) -> None:
    if content.isascii():
        return
    try:
        content.decode()
    except UnicodeDecodeError as error:
        number = before + 1 + content.count(b"\n", 0, error.start)
        raise RefusedFileError(f"line {number} is not UTF-8") from None


def ndjson(blocks: Iterable[bytes], start: Place) -> Iterator[Record]:
    """One JSON text a line; blank lines are none."""
    for number, end, content in lines(blocks, start):
        text = content.strip()
        if not text:
            continue
        after = Place(end, number)
        if len(text) > LONGEST_RECORD:
            yield Record(number, after, None, text, _too_large())
        else:
            yield Record(number, after, text, text)


def _too_large() -> str:
    return f"has more than {LONGEST_RECORD:,} bytes"


class _Feed(Iterator[str]):
    """The lines csv asks for, one by one, so that it is known how far it has read."""

    def __init__(self, source: Iterator[Line], start: Place) -> None:
        self._source = source
        self.after = start
        self.begin(start.lines)

    def begin(self, before: int) -> None:
        self.first = before + 1
        self._size = 0

    def __next__(self) -> str:
        number, end, content = next(self._source)
        self.after = Place(end, number)
        self._size += len(content)
        if self._size > LONGEST_RECORD and number > self.first:
            raise self.unended()
        return content.decode() + "\n"

    @property
    def oversized(self) -> bool:
        return self._size > LONGEST_RECORD

    def unended(self) -> RefusedFileError:
        return RefusedFileError(
            f"quotes that open in line {self.first} do not close as they should"
        )


def _rows(source: Iterator[Line], start: Place) -> Iterator[tuple[_Feed, list[str], str | None]]:
    """Rows that are not blank, with what is wrong with them."""
    feed = _Feed(source, start)
    reader = csv.reader(feed, strict=True)
    while True:
        feed.begin(feed.after.lines)
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if feed.after.lines > feed.first:  # it swallowed lines, whose items would be lost
                raise feed.unended() from error
            yield feed, [], str(error)
        else:
            if cells:
                yield feed, cells, _too_large() if feed.oversized else None


class Columns(NamedTuple):
    """What a CSV's header says; cells of `nested` columns are JSON."""

    names: Sequence[str]
    nested: frozenset[str]

    def content(self, cells: Sequence[str]) -> Mapping[str, Any]:
        """A row by its columns; an empty cell says nothing. Raises ValueError."""
        if len(cells) != len(self.names):
            raise ValueError(f"has {len(cells)} columns; the header has {len(self.names)}")
        said = {name: cell for name, cell in zip(self.names, cells, strict=True) if cell}
        for name in self.nested & said.keys():
            try:
                said[name] = json.loads(said[name])
            except (ValueError, RecursionError):
                raise ValueError(f"{name}: is not JSON") from None
        return said


def header(blocks: Iterable[bytes], item: type[BaseModel]) -> tuple[Columns, Place]:
    """The columns of a CSV and the place behind its header. Raises RefusedFileError."""
    for feed, cells, problem in _rows(lines(blocks, START), START):
        if problem:
            raise RefusedFileError(f"the header cannot be read: {problem}")
        names = [cell.strip() for cell in cells]
        _check_header(names, item)
        return Columns(names, nested(item)), feed.after
    raise RefusedFileError("the file has no header")


def _check_header(names: Sequence[str], item: type[BaseModel]) -> None:
    fields = {field.alias or name: field for name, field in item.model_fields.items()}
    known = ", ".join(fields)
    for name in names:
        if name not in fields:
            raise RefusedFileError(
                f"the header has an unknown column {name[:50]!r}; known: {known}"
            )
        if names.count(name) > 1:
            raise RefusedFileError(f"the header has the column {name!r} twice")
    missing = [name for name, field in fields.items() if field.is_required() and name not in names]
    if missing:
        raise RefusedFileError(f"the header lacks the column {missing[0]!r}")


def nested(item: type[BaseModel]) -> frozenset[str]:
    """The fields that are lists or objects."""
    schema = item.model_json_schema()
    return frozenset(
        name
        for name, field in schema.get("properties", {}).items()
        if _is_nested(field, schema.get("$defs", {}))
    )


def _is_nested(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        return _is_nested(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    options = schema.get("anyOf", schema.get("allOf", ()))
    return schema.get("type") in {"array", "object"} or any(
        _is_nested(option, definitions) for option in options
    )


def rows(blocks: Iterable[bytes], start: Place, columns: Columns) -> Iterator[Record]:
    """The rows of a CSV behind a place that is behind its header."""
    for feed, cells, problem in _rows(lines(blocks, start), start):
        text = ",".join(cells)
        if problem:
            yield Record(feed.first, feed.after, None, text, problem)
            continue
        try:
            yield Record(feed.first, feed.after, columns.content(cells), text)
        except ValueError as error:
            yield Record(feed.first, feed.after, None, text, str(error))
