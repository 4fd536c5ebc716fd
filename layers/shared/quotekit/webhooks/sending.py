"""Messages to the queues of webhooks, by claim check where SQS takes no body that long."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from quotekit import exchange
from quotekit.environment import WebhookSettings, need
from quotekit.webhooks import routing

# As in quotekit.queues, which cannot be imported here; a test compares.
LARGEST_MESSAGE: Final = 262_144
CLAIM: Final = "quotekit_claim_check"


class NotSentError(Exception):
    """No queue has the message."""


def send(queue: str, message: Mapping[str, Any], group: str) -> None:
    """Put a message on a class's queue; returns when SQS has it. Raises NotSentError."""
    try:
        body = encode(message)
        parameters = {
            "QueueUrl": routing.queue_url(queue),
            "MessageBody": body,
            "MessageGroupId": group,
        }
        answer = exchange.call(
            "sqs",
            "SendMessage",
            parameters,
            timeout=WebhookSettings.timeout,
            deadline=WebhookSettings.deadline,
        )
    except exchange.AwsError as error:
        raise NotSentError(str(error)) from error
    digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    if answer.get("MD5OfMessageBody") != digest:
        raise NotSentError("SendMessage: the answer does not confirm the message")


def encode(message: Mapping[str, Any]) -> str:
    """The body that travels: plain ASCII, as SQS refuses some characters."""
    body = json.dumps(message, separators=(",", ":"))
    if len(body) <= LARGEST_MESSAGE:
        return body
    key = f"claims/webhooks/{os.urandom(16).hex()}.json"
    exchange.put(
        need("DOCUMENTS_BUCKET"),
        key,
        body.encode(),
        "application/json",
        timeout=WebhookSettings.timeout,
    )
    return json.dumps({CLAIM: key})
