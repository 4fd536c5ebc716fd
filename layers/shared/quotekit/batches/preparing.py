"""Preparing a job: its upload is read, checked line by line and laid down in chunks.

All of it may end anywhere and be taken up by another worker: chunks and the place behind them are
committed together, fenced by the job's lease, and the rest of the file says the rest.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol
from uuid import UUID

from quotekit import database, outbox, storage
from quotekit.batches import checking, laying, reading, tickets
from quotekit.batches.duplicates import Seen
from quotekit.batches.laying import Draft, Task
from quotekit.batches.reading import Record, RefusedFileError

PART: Final = 4_194_304  # bytes asked of S3 at a time
BLOCK: Final = 262_144  # bytes looked at at a time
SECONDS: Final = 1.0  # between two commits, about
LARGEST_COMMIT: Final = 2_097_152  # bytes of items
SHOWN: Final = 500  # characters of a refused line


class Job(Protocol):
    """What is read of a job before it is known to be ours."""

    @property
    def id(self) -> UUID: ...


class LeaseLostError(Exception):
    """Another worker prepares the job, or somebody cancelled it."""


def prepare(job: Job, lease: int, *, until: Callable[[], bool]) -> None:
    """Read a job's upload until all of it is laid down, or until `until` says that it is time.

    The job ends as pending, or as failed with no chunk when the file is refused."""
    task = laying.load(job.id, lease)
    if task is None:
        return
    try:
        Preparation(task).run(until)
    except LeaseLostError:
        return
    except (RefusedFileError, storage.ChangedError, FileNotFoundError) as error:
        outbox.deliver(laying.refuse(task, reason(error)))


def reason(error: Exception) -> str:
    if isinstance(error, storage.ChangedError):
        return "The upload was replaced while it was read."
    if isinstance(error, FileNotFoundError):
        return "Nothing was uploaded, or it is gone."
    return f"The file was refused: {error}."


class Preparation:
    """One worker's turn at a job."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.checker = checking.Checker(task.operation)
        self.seen = Seen()
        self.chunks = task.job.chunks
        self.items = task.job.items  # what is refused too
        self.position = task.job.items + 1  # of the first item that is not laid down
        self.most = task.operation.most
        self.drafts: list[Draft] = []
        self.draft = Draft()
        self.committed_at = time.monotonic()

    def run(self, until: Callable[[], bool]) -> None:
        self.remember()
        if self.until_the_end(until):
            self.finish()

    def remember(self) -> None:
        """Know the keys of the lines that were laid down before."""
        if self.task.operation.key is None:
            return
        for item, line in laying.laid(self.task):
            _, key = self.checker.check(item)
            if key is not None:
                self.seen.first(key, line)

    def until_the_end(self, until: Callable[[], bool]) -> bool:
        place = self.task.place
        for record in self.records():
            self.add(record)
            place = record.after
            if self.draft.full(self.task.size):
                self.drafts.append(self.draft.closed(place))
                self.draft = Draft()
                if self.is_due():
                    self.commit()
                    if until():
                        return False
        if self.draft.items:
            self.drafts.append(self.draft.closed(place))
        self.commit()
        return True

    def records(self) -> Iterator[Record]:
        task = self.task
        if task.job.format == "ndjson":
            return reading.ndjson(blocks(task, task.place.offset), task.place)
        columns, behind = reading.header(blocks(task, 0), task.operation.item)
        start = max(behind, task.place)
        return reading.rows(blocks(task, start.offset), start, columns)

    def add(self, record: Record) -> None:
        self.items += 1
        if self.items > self.most:
            raise RefusedFileError(f"it has more than {self.most:,} items")
        try:
            text = self.checked(record)
        except ValueError as error:
            self.draft.refuse(record.line, shown(record.text), checking.reason(error))
        else:
            self.draft.take(record.line, text)

    def checked(self, record: Record) -> str:
        if record.content is None:
            raise ValueError(record.problem)
        text, key = self.checker.check(record.content)
        first = None if key is None else self.seen.first(key, record.line)
        if first is not None:
            raise ValueError(f"the same as line {first}")
        return text

    def is_due(self) -> bool:
        return (
            time.monotonic() - self.committed_at > SECONDS
            or sum(draft.bytes for draft in self.drafts) > LARGEST_COMMIT
        )

    def commit(self) -> None:
        if not self.drafts:
            return
        if not laying.lay(self.task, self.chunks, self.position, self.drafts):
            raise LeaseLostError
        self.chunks += len(self.drafts)
        self.position += sum(len(draft.items) for draft in self.drafts)
        self.drafts = []
        self.committed_at = time.monotonic()

    def finish(self) -> None:
        if not self.items:
            raise RefusedFileError("it has no items")
        with database.transaction(self.task.service) as connection:
            if not laying.finish(connection, self.task, self.items):
                raise LeaseLostError
            promises = tickets.promise(
                connection, self.task.job.id, self.task.job.priority, self.chunks
            )
        outbox.deliver(promises)


def blocks(task: Task, start: int) -> Iterator[bytes]:
    """The upload behind an offset, as it was when the job was made."""
    while part := storage.part(storage.documents(), task.job.key, start, PART, etag=task.job.etag):
        for cut in range(0, len(part), BLOCK):
            yield part[cut : cut + BLOCK]
        start += len(part)


def shown(text: str | bytes) -> str:
    """The beginning of a refused line, as JSON text that PostgreSQL takes."""
    line = text if isinstance(text, str) else text[: 4 * SHOWN].decode(errors="replace")
    return json.dumps(line[:SHOWN].replace("\0", "�"))
