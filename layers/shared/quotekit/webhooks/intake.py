"""Messages of the three queues as the worker takes them: which event, and how it came."""

from collections.abc import Sequence
from datetime import datetime
from random import random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from quotekit import database, queues
from quotekit.webhooks import applying, repository
from quotekit.webhooks.applying import Came
from quotekit.webhooks.model import Event
from quotekit.webhooks.repository import Delivered, Delivery

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

OFTEN: Final = 10  # deliveries after which a message takes no others along any more


def turn(item: dict[str, Any]) -> tuple[int, float]:
    """What was delivered often may kill the worker: the others first, its like at random."""
    receives = int(item["attributes"]["ApproximateReceiveCount"])
    return receives, random() if receives > OFTEN else 0.0  # noqa: S311 - no secret


def delivery(record: "SQSRecord", now: datetime) -> Delivery:
    return Delivery(repository.topic_of(queues.name(record)), queues.receives(record), now)


def read(record: "SQSRecord") -> Event:
    """The event of a message; a redrive's message only says which one it is."""
    message = queues.decode(record)
    if "stored" not in message:
        return Event.of(message)
    with database.reading(database.SERVICE) as connection:
        return repository.load(connection, UUID(message["stored"]))


def apply_together(records: Sequence["SQSRecord"], now: datetime) -> dict[str, tuple[Event, Came]]:
    """Apply in one transaction what may share one: what the events of these messages came to.

    Empty for fewer than two; raises when one of them fails, and then nothing happened.
    """
    if len(records) <= 1:
        return {}
    given = {record.message_id: one for record in records if (one := _shareable(record, now))}
    if len(given) <= 1:
        return {}
    with database.transaction(database.SERVICE) as connection:
        came = applying.apply_together(connection, list(given.values()))
    events = [one.event for one in given.values()]
    return dict(zip(given, zip(events, came, strict=True), strict=True))


def _shareable(record: "SQSRecord", now: datetime) -> Delivered | None:
    """Nothing odd, and nothing that came often."""
    came = delivery(record, now)
    if came.receives > OFTEN:
        return None
    try:
        event = Event.of(queues.decode(record))
    except Exception:  # noqa: BLE001 - whatever it is, it is found again when it goes alone
        return None
    return Delivered(event, came) if event.refused is None else None
