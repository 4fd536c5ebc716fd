"""What proves to an account's server that a notification is ours: Standard Webhooks, v1.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from quotekit import secrets
from quotekit.environment import NotifySettings

PREFIX: Final = "whsec_"


def signing_secrets(account_id: UUID) -> Sequence[str]:
    """The account's own secrets, made of the house's: the one to use first, then the one before.

    Both sign, so that a server which still has the older one misses nothing while it changes.
    """
    given = secrets.secret(NotifySettings.secret)
    keys = [key for name in ("key", "previous") if (key := given.get(name))]
    return [PREFIX + base64.b64encode(_derive(key, account_id)).decode() for key in keys]


def _derive(key: str, account_id: UUID) -> bytes:
    return hmac.digest(key.encode(), str(account_id).encode(), "sha256")


def signed(account_id: UUID, message_id: UUID, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of one attempt; the id stays the same however often it is tried."""
    moment = str(int(now.timestamp()))
    content = b".".join([str(message_id).encode(), moment.encode(), body])
    return {
        "webhook-id": str(message_id),
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(
            f"v1,{_sign(secret, content)}" for secret in signing_secrets(account_id)
        ),
    }


def _sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()
