"""Deliveries of events: applied once, or their failure written down and judged."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import psycopg

from quotekit import errors
from quotekit.database import Connection
from quotekit.webhooks import effects, repository
from quotekit.webhooks.model import Category, Event, Outcome, PermanentError, State
from quotekit.webhooks.repository import Delivered, Delivery, Failure, Result

type Came = State | Literal["duplicate"]

FIRST_PAUSE: Final = 60.0  # seconds; doubled with each failure
LONGEST_PAUSE: Final = 3600.0
PERMANENT: Final = (
    *(PermanentError, errors.InvalidInputError, errors.BadRequestError),
    psycopg.DataError,
)
LONGEST_WAIT: Final = 250  # ms for a lock; less than PostgreSQL needs to see a deadlock
PATIENCE: Final = "select set_config('lock_timeout', %(milliseconds)s, true)"
# By the first that fits.
CATEGORIES: Final[tuple[tuple[tuple[type[BaseException], ...], Category], ...]] = (
    ((*PERMANENT, psycopg.IntegrityError, errors.PayloadTooLargeError), "validation"),
    ((errors.RateLimitedError,), "rate_limit"),
    (
        (TimeoutError, psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable),
        "timeout",
    ),
    ((errors.ServiceUnavailableError, psycopg.OperationalError, OSError), "external"),
)
# Whatever botocore raises, by name: importing it would cost a quarter of a second.
OUTSIDE: Final = {"botocore.exceptions.ClientError", "botocore.exceptions.BotoCoreError"}


def apply(connection: Connection, event: Event, delivery: Delivery) -> Came | Literal["refused"]:
    """Record the event and do what follows from it, in the caller's transaction, or nothing."""
    if event.refused is not None:
        repository.record_refusal(connection, event)
        return "refused"
    return _apply(connection, [Delivered(event, delivery)])[0]


def apply_together(connection: Connection, given: Sequence[Delivered]) -> list[Came]:
    """Apply events that are no refusals in some ten trips for them all; raises if one fails.

    Who waits for the locks of another such transaction does not wait for long: event by event
    neither is in the other's way.
    """
    connection.defer(PATIENCE, {"milliseconds": str(LONGEST_WAIT)})
    return _apply(connection, given)


def _apply(connection: Connection, given: Sequence[Delivered]) -> list[Came]:
    given = [one._replace(unread=effects.unread(one.event)) for one in given]
    claims = repository.claim(connection, given)
    mine = {place: claim for place, claim in enumerate(claims) if claim}
    outcomes = _outcomes(connection, {place: given[place] for place in mine})
    results = [Result(claim, given[place], outcomes[place]) for place, claim in mine.items()]
    repository.finish(connection, results)
    return [
        outcomes[place].state if place in outcomes else "duplicate" for place in range(len(given))
    ]


def _outcomes(connection: Connection, given: Mapping[int, Delivered]) -> dict[int, Outcome]:
    """What follows from events, handler by handler."""
    outcomes = {place: Outcome("ignored", one.unread) for place, one in given.items() if one.unread}
    by_handler: dict[str, list[int]] = {}
    for place in given.keys() - outcomes.keys():
        by_handler.setdefault(given[place].event.handler, []).append(place)
    for handler, places in sorted(by_handler.items()):
        events = [given[place].event for place in sorted(places)]
        found = effects.effect_of(handler)(connection, events)
        outcomes |= zip(sorted(places), found, strict=True)
    return outcomes


def fail(
    connection: Connection, event: Event, delivery: Delivery, error: Exception, *, most: int
) -> Failure | None:
    """Write a failed attempt down, in a transaction after the one that was rolled back."""
    limit = 1 if isinstance(error, PERMANENT) else most
    text = f"{type(error).__name__}: {error}"
    return repository.fail(connection, event, delivery, category_of(error), text, most=limit)


def pause(failures: int) -> float:
    """Seconds a message rests after so many failures, before the jitter."""
    return min(FIRST_PAUSE * 2.0 ** (failures - 1), LONGEST_PAUSE)


def category_of(error: BaseException) -> Category:
    for kinds, category in CATEGORIES:
        if isinstance(error, kinds):
            return category
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    return "external" if names & OUTSIDE else "unknown"
