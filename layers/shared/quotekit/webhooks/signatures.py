"""Who sent a webhook: each scheme's signature over the exact bytes, against every live secret.

Small verifiers of our own, because a vendor's library costs more of a cold start than everything
else here together. The tests show them equal to `stripe` and `standardwebhooks`, except that a
timestamp of the future is refused here. Only the standard library is imported; `cryptography` when
the first ed25519 signature has to be checked.
"""

import base64
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import floor
from typing import Any, Final, Literal, NamedTuple

BLANK: Final = " \t\r\n\f\v"
TOLERANCE: Final = 300  # seconds a timestamp may lie in the past or in the future

type Reason = Literal["unsigned", "malformed", "mismatch", "expired"]


class SignatureError(Exception):
    """The request is not proven to come from its sender."""

    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason
        super().__init__(reason)


class Delivery(NamedTuple):
    """A request as it came: header names in lower case, the body's exact bytes."""

    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = {}

    def header(self, name: str) -> str:
        """A header that has to be there."""
        value = self.headers.get(name)
        if not value:
            raise SignatureError("unsigned")
        return value


class Keys(NamedTuple):
    """What a source's secret holds: the live secrets, the newest first; TikTok Shop's app key;
    Shippo's address tokens, for accounts without signatures."""

    secrets: Sequence[str]
    app_key: str = ""
    tokens: Sequence[str] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any], now: float) -> "Keys":
        """Those of a secret's JSON. All but the newest end with `previous_until`, where it is
        given; what is no text is no secret, least of all an empty one."""
        secrets = _texts(document.get("secrets"))
        until = document.get("previous_until")
        if isinstance(until, int | float) and now > until:
            secrets = secrets[:1]
        app_key = document.get("app_key")
        return cls(
            secrets,
            app_key if isinstance(app_key, str) else "",
            _texts(document.get("tokens")),
        )


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str) and item.strip(BLANK)]


type Verify = Callable[[Delivery, Keys, float], int]


def verify(source: str, delivery: Delivery, keys: Keys, now: float) -> int:
    """Which secret made the signature, by its place. Raises SignatureError.

    `now` is in seconds since 1970. Every secret is compared with every signature in constant
    time, so that the time taken tells nothing but their number.
    """
    try:
        return SCHEMES[source](delivery, keys, now)
    except UnicodeError as error:  # half a surrogate pair, which no sender has signed
        raise SignatureError("malformed") from error


def digest(key: bytes, message: bytes) -> str:
    """HMAC-SHA256 in lower-case hexadecimal, as most senders write it."""
    return hmac.digest(key, message, "sha256").hex()


def _matching(expected: Iterable[str | bytes], offered: Sequence[str | bytes]) -> int:
    found = None
    for place, wanted in enumerate(expected):
        for one in offered:
            if hmac.compare_digest(_bytes(wanted), _bytes(one)) and found is None:
                found = place
    if found is None:
        raise SignatureError("mismatch")
    return found


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _in_time(timestamp: float, now: float) -> None:
    if not now - TOLERANCE <= timestamp <= now + TOLERANCE:
        raise SignatureError("expired")


def github(delivery: Delivery, keys: Keys, _: float) -> int:
    """Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries."""
    offered = delivery.header("x-hub-signature-256")
    return _matching(
        (f"sha256={digest(secret.encode(), delivery.body)}" for secret in keys.secrets), [offered]
    )


def _timestamped(header: str, delivery: Delivery, keys: Keys, now: float) -> int:
    """`t=…,v1=…`: HMAC over `t.body`; other schemes than v1 are not looked at.

    Source: https://docs.stripe.com/webhooks?verify=verify-manually
    """
    items = [item.split("=", 2) for item in header.split(",")]
    try:
        timestamp = int([item[1] for item in items if item[0] == "t"][0])  # noqa: RUF015 as theirs
        offered = [item[1] for item in items if item[0] == "v1"]
    except (IndexError, ValueError):
        raise SignatureError("malformed") from None
    message = b"%d." % timestamp + delivery.body
    found = _matching((digest(secret.encode(), message) for secret in keys.secrets), offered)
    _in_time(timestamp, now)
    return found


def stripe(delivery: Delivery, keys: Keys, now: float) -> int:
    return _timestamped(delivery.header("stripe-signature"), delivery, keys, now)


def shippo(delivery: Delivery, keys: Keys, now: float) -> int:
    """As Stripe's; without the header, the token that the account put into the address.

    Source: https://docs.goshippo.com/docs/tracking/webhooksecurity
    """
    if keys.tokens and "shippo-auth-signature" not in delivery.headers:
        return _matching(keys.tokens, [delivery.query.get("token", "")])
    return _timestamped(delivery.header("shippo-auth-signature"), delivery, keys, now)


def easypost(delivery: Delivery, keys: Keys, _: float) -> int:
    """The key is normalised, so that a typed é is one é whatever keyboard typed it.

    Source: https://docs.easypost.com/docs/webhooks#webhook-validation
    """
    offered = delivery.header("x-hmac-signature")
    expected = (
        f"hmac-sha256-hex={digest(_decomposed(secret), delivery.body)}" for secret in keys.secrets
    )
    return _matching(expected, [offered])


def _decomposed(secret: str) -> bytes:
    if not secret.isascii():
        from unicodedata import normalize  # noqa: PLC0415 a megabyte that ASCII keys do not need

        secret = normalize("NFKD", secret)
    return secret.encode()


def tiktok_shop(delivery: Delivery, keys: Keys, _: float) -> int:
    """HMAC over the app's key and the body.

    Source: https://partner.tiktokshop.com/docv2/page/tts-webhooks-overview
    """
    offered = delivery.header("authorization")
    message = keys.app_key.encode() + delivery.body
    return _matching((digest(secret.encode(), message) for secret in keys.secrets), [offered])


def standard(delivery: Delivery, keys: Keys, now: float) -> int:
    """HMAC (`v1`) by secrets, ed25519 (`v1a`) by public keys (`whpk_…`), over `id.timestamp.body`.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    identifier, given = delivery.header("webhook-id"), delivery.header("webhook-timestamp")
    offered = _versioned(delivery.header("webhook-signature"))
    try:
        timestamp = datetime.fromtimestamp(float(given), UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        raise SignatureError("malformed") from None
    message = f"{identifier}.{floor(timestamp)}.".encode() + delivery.body
    matches = [
        place
        for place, key in enumerate(keys.secrets)
        if (_by_public_key if key.startswith(PUBLIC) else _by_secret)(key, message, offered)
    ]
    if not matches:
        raise SignatureError("mismatch")
    _in_time(timestamp, now)
    return matches[0]


SECRET: Final = "whsec_"  # noqa: S105 the prefix of them all
PUBLIC: Final = "whpk_"


def _versioned(header: str) -> list[tuple[str, bytes]]:
    """The signatures up to the first that is none, which is where the vendor's library stops."""
    found = []
    for item in header.split(" "):
        version, _, text = item.partition(",")
        if item.count(",") != 1:
            break
        try:
            found.append((version, base64.b64decode(text)))
        except ValueError:
            if version == "v1":
                break
    return found


def _by_secret(secret: str, message: bytes, offered: Sequence[tuple[str, bytes]]) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET) + "==")
    except ValueError:
        return False
    expected = hmac.digest(key, message, "sha256")
    equal = [hmac.compare_digest(expected, one) for version, one in offered if version == "v1"]
    return bool(key) and any(equal)


def _by_public_key(public: str, message: bytes, offered: Sequence[tuple[str, bytes]]) -> bool:
    signatures = [one for version, one in offered if version == "v1a"]
    if not signatures:
        return False
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 for this scheme alone
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    for signature in signatures:
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix(PUBLIC)))
            key.verify(signature, message)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


SCHEMES: Final[Mapping[str, Verify]] = {
    "stripe": stripe,
    "github": github,
    "tiktok-shop": tiktok_shop,
    "easypost": easypost,
    "shippo": shippo,
    "standard": standard,
}
