"""How many webhooks wait in SQS, which no table of ours knows: as SQS itself says, approximately.

A webhook is recorded when a worker takes it up, so what was accepted and not taken up yet is seen
here alone. One that waits out a retry is counted here, in flight, and among the failed as well.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from quotekit import exchange
from quotekit.environment import WebhookSettings
from quotekit.settings import queue_settings
from quotekit.webhooks.repository import TOPICS

SOURCE: Final = "sqs:GetQueueAttributes"
FRESH: Final = 5.0  # seconds an answer is good for, so that a page full of viewers asks once
ATTRIBUTES: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
NOT_TOLD: Final = "this function was not told the queue's address"


@dataclass(frozen=True, slots=True)
class Queue:
    """Messages that wait to be taken, and those taken: at work, or resting before a retry.

    Both are null where SQS did not say, and `reason` says why."""

    waiting: int | None
    in_flight: int | None
    reason: str | None
    observed_at: datetime
    source: str = SOURCE


_seen: Final[dict[str, tuple[float, Queue]]] = {}


def queues() -> Mapping[str, Queue]:
    """The three queues, by name."""
    with ThreadPoolExecutor(len(TOPICS)) as pool:
        return dict(zip(TOPICS, pool.map(look, TOPICS), strict=True))


def look(topic: str) -> Queue:
    asked_at, seen = _seen.get(topic, (float("-inf"), None))
    if seen is not None and 0 <= time.monotonic() - asked_at < FRESH:
        return seen
    found = ask(getattr(queue_settings(), f"{topic}_queue_url"))
    _seen[topic] = time.monotonic(), found
    return found


def ask(queue_url: str | None) -> Queue:
    now = datetime.now(UTC)
    if queue_url is None:
        return Queue(None, None, NOT_TOLD, now)
    request = {"QueueUrl": queue_url, "AttributeNames": ATTRIBUTES}
    timeout = WebhookSettings.timeout
    try:
        answer = exchange.call(
            "sqs", "GetQueueAttributes", request, timeout=timeout, deadline=timeout
        )
        visible, hidden = (int(answer["Attributes"][name]) for name in ATTRIBUTES)
    except exchange.AwsError as error:
        return Queue(None, None, str(error), now)
    except (KeyError, TypeError, ValueError):
        return Queue(None, None, "SQS's answer could not be read", now)
    return Queue(visible, hidden, None, now)


def forget() -> None:
    """Ask SQS again at the next look."""
    _seen.clear()
