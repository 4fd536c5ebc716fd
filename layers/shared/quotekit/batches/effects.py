"""An operation's effect on some items, in a transaction: together, or one by one.

One by one each has a savepoint, so that only the culprits fail when together they could not.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

import psycopg

from quotekit import refusals
from quotekit.batches.model import Code, Outcome, Produced, Work
from quotekit.database import Connection
from quotekit.errors import QuoteKitError, RateLimitedError, ServiceUnavailableError
from quotekit.performance import logger

BOX: Final = 0.25  # seconds one by one; then the next look whether the job still runs
# No item's fault: a connection, a lock, a deadlock, a service that is away.
TRANSIENT: Final = (
    psycopg.OperationalError,
    ServiceUnavailableError,
    RateLimitedError,
    OSError,
)
# Whatever botocore raises, by name: importing it would cost a quarter of a second.
OUTSIDE: Final = {"botocore.exceptions.ClientError", "botocore.exceptions.BotoCoreError"}
CODES: Final[dict[HTTPStatus, Code]] = {
    HTTPStatus.NOT_FOUND: "missing",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.UNAUTHORIZED: "forbidden",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.GONE: "conflict",
    HTTPStatus.PAYMENT_REQUIRED: "quota",
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid",
}
UNKNOWN: Final = Outcome("error", "Something went wrong on our side.")

type Apply = Callable[[Connection, Work, Sequence[Any]], Sequence[Outcome]]
type ApplyOne = Callable[[Connection, Work, Any], Outcome]


def is_transient(error: BaseException) -> bool:
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    return isinstance(error, TRANSIENT) or bool(names & OUTSIDE)


def judged(error: Exception) -> Outcome:
    """What an error says about the item that raised it; nothing of SQL."""
    if isinstance(error, psycopg.DatabaseError):
        error = refusals.translated(error)
    if isinstance(error, QuoteKitError) and error.status in CODES:
        told = [error.message, *(f"{one['field']}: {one['message']}" for one in error.details)]
        return Outcome(CODES[error.status], " ".join(told))
    logger.error("an item could not be done", exc_info=error)
    return UNKNOWN


@contextmanager
def rehearsed(connection: Connection, work: Work) -> Iterator[None]:
    """In a dry run undo what is done inside, deferred statements and promises included."""
    if not work.dry_run:
        yield
        return
    connection.execute("savepoint rehearsal")
    yield
    connection.execute("rollback to savepoint rehearsal")
    work.promises.clear()


def together(
    connection: Connection, work: Work, apply: Apply, items: Sequence[Any]
) -> Sequence[Outcome]:
    with rehearsed(connection, work):
        outcomes = apply(connection, work, items)
    if len(outcomes) != len(items):
        raise ValueError(f"{len(outcomes)} outcomes of {len(items)} items")
    return outcomes


def one_by_one(
    connection: Connection, work: Work, apply_one: ApplyOne, items: Sequence[Any]
) -> Sequence[Outcome]:
    """Outcomes of as many items as there was time for, one at least."""
    outcomes: list[Outcome] = []
    started = time.perf_counter()
    with rehearsed(connection, work):
        for item in items:
            outcomes.append(attempt(connection, work, apply_one, item))
            if time.perf_counter() - started > BOX:
                break
    return outcomes


def of_one(apply: Apply) -> ApplyOne:
    return lambda connection, work, item: apply(connection, work, [item])[0]


def attempt(
    connection: Connection,
    work: Work,
    apply_one: ApplyOne,
    item: Any,  # noqa: ANN401 - whatever the operation's items are
) -> Outcome:
    promised = len(work.promises)
    connection.execute("savepoint item")
    try:
        outcome = apply_one(connection, work, item)
        connection.execute("release savepoint item")  # what was deferred errs here
    except Exception as error:
        if is_transient(error):
            raise
        del work.promises[promised:]
        connection.withdraw()
        connection.execute("rollback to savepoint item")
        return judged(error)
    return outcome


def produced(
    work: Work, produce: Callable[[Work, Sequence[Any]], Produced], items: Sequence[Any]
) -> Produced:
    """A part of an export; where an item spoils it for the others, the first by itself."""
    try:
        return produce(work, items)
    except Exception as error:
        if is_transient(error):
            raise
        if len(items) > 1:
            return produced(work, produce, items[:1])
        return Produced([judged(error)], b"")
