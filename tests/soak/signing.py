"""The senders' signatures, as their own documentation describes them."""

import base64
import hashlib
import hmac
import time
import unicodedata
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local.settings import WEBHOOK_SECRETS
from tests.soak.letters import Letter, endpoint
from tests.soak.parcels import TENANTS

FORGED: Final = "nobody's secret"


def secret(source: str) -> str:
    secrets: Any = WEBHOOK_SECRETS[source]["secrets"]
    return str(secrets[0])


def mac(key: str | bytes, message: bytes) -> str:
    raw = key.encode() if isinstance(key, str) else key
    return hmac.new(raw, message, hashlib.sha256).hexdigest()


class Signer:
    """Signs the letters of one run; its tenants have keys of their own."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._keys = {endpoint(run, number): self._key(number) for number in range(TENANTS)}
        self._by_ed25519 = endpoint(run, TENANTS - 1)

    def _key(self, number: int) -> bytes:
        return hashlib.sha256(f"{self._run}|tenant|{number}".encode()).digest()

    @property
    def endpoints(self) -> dict[str, str]:
        """What Secrets Manager has to hold for each tenant's endpoint."""
        held = {name: f"whsec_{base64.b64encode(key).decode()}" for name, key in self._keys.items()}
        public = self._private(self._by_ed25519).public_key().public_bytes_raw()
        return held | {self._by_ed25519: f"whpk_{base64.b64encode(public).decode()}"}

    def _private(self, name: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._keys[name])

    def path(self, letter: Letter) -> str:
        address = f"/{letter.endpoint_id}" if letter.endpoint_id else ""
        return f"/v1/webhooks/{letter.source}{address}"

    def headers(self, letter: Letter, *, forged: bool = False) -> dict[str, str]:
        """Signed now: senders sign anew when they send again."""
        signed: dict[str, str] = getattr(self, f"_{letter.source.replace('-', '_')}")(
            letter, FORGED if forged else None
        )
        return {"content-type": "application/json", "user-agent": "soak"} | signed

    def _github(self, letter: Letter, key: str | None) -> dict[str, str]:
        return {
            "x-github-event": letter.kind,
            "x-github-delivery": letter.event_id,
            "x-hub-signature-256": f"sha256={mac(key or secret('github'), letter.body)}",
        }

    def _stripe(self, letter: Letter, key: str | None) -> dict[str, str]:
        return {"stripe-signature": _dated(key or secret("stripe"), letter.body)}

    def _shippo(self, letter: Letter, key: str | None) -> dict[str, str]:
        return {"shippo-auth-signature": _dated(key or secret("shippo"), letter.body)}

    def _easypost(self, letter: Letter, key: str | None) -> dict[str, str]:
        typed = unicodedata.normalize("NFKD", key or secret("easypost"))
        return {"x-hmac-signature": f"hmac-sha256-hex={mac(typed, letter.body)}"}

    def _tiktok_shop(self, letter: Letter, key: str | None) -> dict[str, str]:
        app_key = str(WEBHOOK_SECRETS["tiktok-shop"]["app_key"]).encode()
        return {"authorization": mac(key or secret("tiktok-shop"), app_key + letter.body)}

    def _standard(self, letter: Letter, key: str | None) -> dict[str, str]:
        moment = str(int(time.time()))
        message = f"{letter.event_id}.{moment}.".encode() + letter.body
        address = letter.endpoint_id or ""
        if address == self._by_ed25519 and key is None:
            version, signature = "v1a", self._private(address).sign(message)
        else:
            own = key.encode() if key else self._keys[address]
            version, signature = "v1", hmac.digest(own, message, "sha256")
        return {
            "webhook-id": letter.event_id,
            "webhook-timestamp": moment,
            "webhook-signature": f"{version},{base64.b64encode(signature).decode()}",
        }


def _dated(key: str, body: bytes) -> str:
    moment = int(time.time())
    return f"t={moment},v1={mac(key, f'{moment}.'.encode() + body)}"
