"""A token issuer for the local stack: keys at a JWKS address, a token for whoever asks."""

import base64
import hashlib
import json
import time
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

AUDIENCE: Final = "quotekit"
LIFETIME_SECONDS: Final = 12 * 3600
LONGEST_LIFETIME_SECONDS: Final = 30 * 24 * 3600
# The demo identities: user, then the account it belongs to.
USER: Final = ("01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-0000000000a1")
ADMIN: Final = ("01900000-0000-7000-8000-000000000002", "01900000-0000-7000-8000-0000000000a2")


class Issuer:
    """Signs with a key kept in a file, so tokens outlive a restart of the stack."""

    def __init__(self, key_file: Path, url: str, audience: str = AUDIENCE) -> None:
        self.url = url
        self.audience = audience
        self._key = _load_or_make(key_file)
        numbers = self._key.public_key().public_numbers()
        self._jwk = {"kty": "RSA", "n": _encode(numbers.n), "e": _encode(numbers.e)}
        self.kid = _thumbprint(self._jwk)

    def token(
        self,
        subject: str,
        account_id: str,
        *,
        scope: str = "",
        lifetime: int = LIFETIME_SECONDS,
        **claims: Any,  # noqa: ANN401  # any JSON
    ) -> str:
        now = int(time.time())
        body = {
            "iss": self.url,
            "aud": self.audience,
            "sub": subject,
            "account_id": account_id,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "scope": scope,
            **claims,
        }
        return jwt.encode(body, self._key, algorithm="RS256", headers={"kid": self.kid})

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [{**self._jwk, "kid": self.kid, "use": "sig", "alg": "RS256"}]}


class IssuerPages:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self.application = Starlette(
            routes=[
                Route("/.well-known/jwks.json", self.keys),
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    async def keys(self, _: Request) -> JSONResponse:
        return JSONResponse(self._issuer.jwks, headers={"cache-control": "max-age=300"})

    async def configuration(self, _: Request) -> JSONResponse:
        url = self._issuer.url
        return JSONResponse(
            {
                "issuer": url,
                "jwks_uri": f"{url}/.well-known/jwks.json",
                "token_endpoint": f"{url}/token",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["public"],
            }
        )

    async def token(self, request: Request) -> JSONResponse:
        """A token for {"sub", "account_id", "scope", "lifetime"}; nothing means the demo user."""
        try:
            asked = json.loads(await request.body() or b"{}")
            lifetime = int(asked.get("lifetime", LIFETIME_SECONDS))
            subject = str(uuid.UUID(asked.get("sub", USER[0])))
            account = str(uuid.UUID(asked.get("account_id", _account_of(subject))))
        except (ValueError, AttributeError, TypeError):
            return _refused("sub and account_id are UUIDs, lifetime is in seconds")
        if not 0 < lifetime <= LONGEST_LIFETIME_SECONDS:
            return _refused(f"lifetime is between 1 and {LONGEST_LIFETIME_SECONDS} seconds")
        scope = str(asked.get("scope", ""))
        answer = {
            "access_token": self._issuer.token(subject, account, scope=scope, lifetime=lifetime),
            "token_type": "Bearer",
            "expires_in": lifetime,
            "scope": scope,
        }
        return JSONResponse(answer, headers={"cache-control": "no-store"})


def _account_of(subject: str) -> str:
    """The demo identities' own accounts; anyone else's account is himself."""
    return dict([USER, ADMIN]).get(subject, subject)


def _refused(description: str) -> JSONResponse:
    body = {"error": "invalid_request", "error_description": description}
    return JSONResponse(body, HTTPStatus.BAD_REQUEST)


def _load_or_make(file: Path) -> rsa.RSAPrivateKey:
    if not file.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    loaded = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(loaded, rsa.RSAPrivateKey)  # noqa: S101  # we wrote it
    return loaded


def _encode(number: int) -> str:
    data = number.to_bytes(-(-number.bit_length() // 8), "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _thumbprint(jwk: dict[str, str]) -> str:
    """The key's name, as RFC 7638 makes it from the key itself."""
    members = json.dumps({name: jwk[name] for name in ("e", "kty", "n")}, separators=(",", ":"))
    digest = hashlib.sha256(members.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
