"""Who is calling: bearer tokens verified by the rules of RFC 8725 against the issuer's JWKS.

Only RS256 and ES256 are accepted, only with the key the issuer publishes under the token's `kid`,
and
only with our issuer, our audience, an expiry and a subject. What a person may do is not taken from
the
token: roles are rows (`app.user_roles`, `app.members`). A withdrawn token (`jti`) and a stranger to
the
account are refused by the database in the round trip that opens the transaction.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from quotekit.database import Actor
from quotekit.errors import ForbiddenError, ServiceUnavailableError, UnauthorizedError
from quotekit.settings import AuthSettings, auth_settings

if TYPE_CHECKING:
    from jwt import PyJWK

    from quotekit.database import Connection

ALGORITHMS: Final = ("RS256", "ES256")
REQUIRED: Final = ("exp", "iat", "iss", "aud", "sub")
LONGEST_TOKEN: Final = 8192
MOST_KNOWN: Final = 256
REFETCH_AFTER: Final = 10  # seconds between two looks for a key the issuer may have added
# Refuses a withdrawn token and a stranger, lets a viewer only read, founds a new account.
ADMIT: Final = b"select auth.admit()"
ADMIT_PERSON: Final = b"select auth.admit_person()"  # refuses a withdrawn token
CLAIMS: Final = ("sub", "account_id", "jti", "scope")


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. `account_id` is the tenant: the token's claim, else the subject.

    `email` is null unless the issuer says that it verified it."""

    user_id: UUID
    account_id: UUID
    scopes: frozenset[str]
    actor: Actor = field(repr=False)
    email: str | None = field(default=None, repr=False)

    @property
    def person(self) -> Actor:
        """The house, for what concerns the caller himself, member of the account or not: queries
        have to name him."""
        return Actor("service_role", self.actor.claims, admission=ADMIT_PERSON)


@cache
def verifier() -> "Verifier":
    return Verifier(auth_settings())


def authenticate(headers: Mapping[str, str]) -> Principal:
    """The caller of a request, from its `authorization` header (names in lower case).

    Raises UnauthorizedError, or ServiceUnavailableError when no key can be had from the issuer.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthorizedError
    return principal(verifier().verify(token.strip()))


def principal(claims: Mapping[str, Any]) -> Principal:
    try:
        user_id = UUID(claims["sub"])
        account_id = UUID(claims.get("account_id") or claims["sub"])
    except (ValueError, AttributeError, TypeError) as error:
        raise UnauthorizedError("The token names no account.") from error
    kept = {name: claims[name] for name in CLAIMS if isinstance(claims.get(name), str)}
    return Principal(
        user_id=user_id,
        account_id=account_id,
        scopes=frozenset(str(claims.get("scope", "")).split()),
        actor=Actor("authenticated", kept, admission=ADMIT),
        email=verified_email(claims),
    )


def verified_email(claims: Mapping[str, Any]) -> str | None:
    email = claims.get("email")
    return email if isinstance(email, str) and claims.get("email_verified") is True else None


ROLE: Final = """
select exists (
    select from app.user_roles
    where user_id = (select auth.uid()) and role = %(role)s
      and is_active and (expires_at is null or expires_at > now())
)
"""


def require_role(connection: "Connection", role: str) -> None:
    """Raise ForbiddenError unless the caller holds the role in the database, now."""
    (held,) = connection.execute(ROLE, {"role": role}).fetchone() or (False,)
    if not held:
        raise ForbiddenError


MANAGERS: Final = frozenset({"owner", "admin"})
FOR_MANAGERS: Final = "Only an owner or an admin of the account may do this."
FOR_THE_OWNER: Final = "Only the owner of the account may do this."


def require_manager(connection: "Connection") -> None:
    """Raise ForbiddenError unless the caller manages the account he acts for."""
    if member_role(connection) not in MANAGERS:
        raise ForbiddenError(FOR_MANAGERS)


def require_owner(connection: "Connection") -> None:
    """Raise ForbiddenError unless the caller owns the account he acts for."""
    if member_role(connection) != "owner":
        raise ForbiddenError(FOR_THE_OWNER)


def member_role(connection: "Connection") -> str | None:
    """What the caller is in the account he acts for; nothing for a stranger."""
    held: str | None
    (held,) = connection.execute("select auth.member_role()").fetchone() or (None,)
    return held


class Verifier:
    """Checks tokens against one issuer; its keys are cached and outlive the issuer's outages."""

    def __init__(self, settings: AuthSettings) -> None:
        self.settings = settings
        self.keys: dict[str, PyJWK] = {}
        self.known: dict[str, dict[str, Any]] = {}
        self.fetched_at = float("-inf")

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that is genuine, ours and in force; else UnauthorizedError.

        A token that was verified is not verified again while it and the issuer's keys hold."""
        now = time.time()
        claims = self.known.get(token)
        if claims is None or now - self.fetched_at > self.settings.jwks_ttl:
            claims = self.examine(token)
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known[token] = claims
        if claims["exp"] + self.settings.leeway <= now:
            raise UnauthorizedError
        return claims

    def examine(self, token: str) -> dict[str, Any]:
        import jwt  # noqa: PLC0415 - brings cryptography; a function without tokens must not pay

        if len(token) > LONGEST_TOKEN:
            raise UnauthorizedError
        try:
            header = jwt.get_unverified_header(token)
            key = self.key(header.get("kid"))
            if header.get("alg") not in ALGORITHMS or key.algorithm_name != header["alg"]:
                raise UnauthorizedError
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self.settings.audience,
                issuer=self.settings.issuer,
                leeway=self.settings.leeway,
                options={"require": list(REQUIRED)},
            )
        except (jwt.PyJWTError, UnicodeError, ValueError) as error:
            raise UnauthorizedError from error
        return claims

    def key(self, kid: object) -> "PyJWK":
        """The issuer's key of that name; an unknown name asks the issuer again, not for every
        forger."""
        age = time.time() - self.fetched_at
        known = isinstance(kid, str) and kid in self.keys
        if age > (self.settings.jwks_ttl if known else REFETCH_AFTER):
            self.refresh()
        if not isinstance(kid, str) or kid not in self.keys:
            raise UnauthorizedError
        return self.keys[kid]

    def refresh(self) -> None:
        from jwt import PyJWKSet, PyJWTError  # noqa: PLC0415

        try:
            with urllib.request.urlopen(
                self.settings.jwks_url, timeout=self.settings.jwks_timeout
            ) as response:
                keys = PyJWKSet.from_dict(json.load(response)).keys
        except (OSError, ValueError, PyJWTError, urllib.error.URLError) as error:
            if not self.keys:
                raise ServiceUnavailableError("The token issuer does not answer.") from error
            return  # the last good keys stay; the next request tries again
        self.known.clear()
        self.keys = {key.key_id: key for key in keys if key.key_id and usable(key)}
        self.fetched_at = time.time()


def usable(key: "PyJWK") -> bool:
    """Whether a published key is one of ours to verify with; a symmetric one never is."""
    return key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
