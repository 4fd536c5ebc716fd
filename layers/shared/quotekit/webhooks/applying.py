"""One delivery of one event: applied once, or its failure written down and judged."""

from typing import Final, Literal

import psycopg

from quotekit import errors
from quotekit.database import Connection
from quotekit.webhooks import effects, repository
from quotekit.webhooks.model import Category, Event, PermanentError, State
from quotekit.webhooks.repository import Delivery, Failure

FIRST_PAUSE: Final = 60.0  # seconds; doubled with each failure
LONGEST_PAUSE: Final = 3600.0
PERMANENT: Final = (
    *(PermanentError, errors.InvalidInputError, errors.BadRequestError),
    psycopg.DataError,
)
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


def apply(
    connection: Connection, event: Event, delivery: Delivery
) -> State | Literal["duplicate", "refused"]:
    """Record the event and do what follows from it, in the caller's transaction, or nothing."""
    if event.refused is not None:
        repository.record_refusal(connection, event)
        return "refused"
    claimed = repository.claim(connection, event, delivery.queue)
    if claimed is None:
        return "duplicate"
    outcome = effects.effect_of(event.handler)(connection, event)
    repository.finish(connection, claimed, delivery, outcome)
    return outcome.state


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
