"""Tokens: what RFC 8725 warns of is refused, without asking the database."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from quotekit import auth, settings
from quotekit.errors import ServiceUnavailableError, UnauthorizedError

USER = UUID("01900000-0000-7000-8000-000000000001")
ISSUER = "https://issuer.test"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
SECRET = "a symmetric key that was published by mistake"


def published() -> dict[str, Any]:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)
    curve = jwt.algorithms.ECAlgorithm.to_jwk(ELLIPTIC.public_key(), as_dict=True)
    octets = base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
    return {
        "keys": [
            public | {"kid": "rsa", "alg": "RS256", "use": "sig"},
            curve | {"kid": "ec", "alg": "ES256", "use": "sig"},
            public | {"kid": "enc", "alg": "RS256", "use": "enc"},
            {"kty": "oct", "k": octets, "kid": "oct", "alg": "HS256"},
        ]
    }


@pytest.fixture
def jwks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(published()))
    monkeypatch.setenv("AUTH_ISSUER", ISSUER)
    monkeypatch.setenv("AUTH_AUDIENCE", "quotekit")
    monkeypatch.setenv("AUTH_JWKS_URL", path.as_uri())
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings.forget()
    auth.verifier.cache_clear()
    return path


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": "quotekit", "sub": str(USER), "iat": now, "exp": now + 60}
    return {name: value for name, value in (said | changes).items() if value is not None}


def signed(kid: str = "rsa", key: Any = RSA, algorithm: str = "RS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers={"kid": kid})


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def confused() -> str:
    """HS256 with the issuer's public RSA key as the secret: the classic confusion."""
    pem = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signing = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(claims())}"
    mac = hmac.new(pem, signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def authenticate(token: str) -> auth.Principal:
    return auth.authenticate({"authorization": f"Bearer {token}"})


@pytest.mark.parametrize(
    ("kid", "key", "algorithm"), [("rsa", RSA, "RS256"), ("ec", ELLIPTIC, "ES256")]
)
def test_a_genuine_token_names_user_account_and_scopes(
    jwks: Path, kid: str, key: Any, algorithm: str
) -> None:
    account = "01900000-0000-7000-8000-0000000000a1"

    caller = authenticate(signed(kid, key, algorithm, account_id=account, scope="a b"))

    assert (caller.user_id, caller.account_id) == (USER, UUID(account))
    assert caller.scopes == {"a", "b"}
    assert authenticate(signed()).account_id == USER  # no account claim: the subject is the account


FORGED = {
    "alg none": lambda: f"{encoded({'alg': 'none', 'kid': 'rsa'})}.{encoded(claims())}.",
    "HS256 with the public key": confused,
    "a published symmetric key": lambda: signed("oct", SECRET, "HS256"),
    "a key for encryption": lambda: signed("enc"),
    "another key under a known name": lambda: signed("rsa", OTHER_RSA),
    "an elliptic key under the RSA name": lambda: signed("rsa", ELLIPTIC, "ES256"),
    "RS512": lambda: signed("rsa", RSA, "RS512"),
    "an unknown kid": lambda: signed("unknown"),
    "no kid": lambda: jwt.encode(claims(), RSA, "RS256"),
    "another issuer": lambda: signed(iss="https://evil.test"),
    "another audience": lambda: signed(aud="somebody"),
    "no audience": lambda: signed(aud=None),
    "expired": lambda: signed(exp=int(time.time()) - 120),
    "no expiry": lambda: signed(exp=None),
    "not yet valid": lambda: signed(nbf=int(time.time()) + 120),
    "issued in the future": lambda: signed(iat=int(time.time()) + 120),
    "no subject": lambda: signed(sub=None),
    "a subject that is no UUID": lambda: signed(sub="admin"),
    "an account that is no UUID": lambda: signed(account_id="1 or 1=1"),
    "ten kilobytes": lambda: signed(filler="x" * 10_000),
    "nonsense": lambda: "nonsense",
    "three empty parts": lambda: "..",
    "not ASCII": lambda: "é.é.é",
    "a broken signature": lambda: signed()[:-4] + "AAAA",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_token_that_is_not_ours_is_refused(jwks: Path, forge: Any) -> None:
    with pytest.raises(UnauthorizedError):
        authenticate(forge())


@pytest.mark.parametrize("header", [{}, {"authorization": ""}, {"authorization": "Basic eDp5"}])
def test_a_request_without_a_bearer_token_is_refused(jwks: Path, header: dict[str, str]) -> None:
    with pytest.raises(UnauthorizedError):
        auth.authenticate(header)


def test_a_new_key_of_the_issuer_is_found_when_it_may_be_looked_for(
    jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticate(signed())
    keys = published()
    keys["keys"].append(keys["keys"][0] | {"kid": "rotated"})
    jwks.write_text(json.dumps(keys))

    with pytest.raises(UnauthorizedError):  # just looked: a forger cannot make us ask all the time
        authenticate(signed("rotated"))
    monkeypatch.setattr(auth, "REFETCH_AFTER", 0)

    assert authenticate(signed("rotated")).user_id == USER


def test_known_keys_outlive_the_issuers_outage(jwks: Path) -> None:
    authenticate(signed())
    auth.verifier().fetched_at = float("-inf")
    jwks.unlink()

    assert authenticate(signed()).user_id == USER


def test_without_any_key_the_service_is_unavailable_not_the_caller_wrong(jwks: Path) -> None:
    jwks.unlink()

    with pytest.raises(ServiceUnavailableError):
        authenticate(signed())


def test_a_verified_token_is_refused_once_it_has_expired(
    jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed(exp=int(time.time()) + 60)
    authenticate(token)
    later = time.time() + 60 + settings.auth_settings().leeway
    monkeypatch.setattr(time, "time", lambda: later)

    with pytest.raises(UnauthorizedError):
        authenticate(token)


def test_a_verified_token_is_refused_once_the_issuer_has_withdrawn_its_key(
    jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed()
    authenticate(token)
    jwks.write_text(json.dumps({"keys": published()["keys"][1:]}))
    auth.verifier().fetched_at -= settings.auth_settings().jwks_ttl + 1

    with pytest.raises(UnauthorizedError):
        authenticate(token)


def test_strangers_tokens_do_not_fill_the_memory(jwks: Path) -> None:
    for number in range(auth.MOST_KNOWN + 10):
        authenticate(signed(jti=str(number)))

    assert len(auth.verifier().known) <= auth.MOST_KNOWN
