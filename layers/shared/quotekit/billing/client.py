"""Stripe's API: a few calls within the time a request has, never inside a transaction.

The library is imported at the first call: it takes a third of a second.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import ceil
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from quotekit import secrets
from quotekit.billing import objects
from quotekit.billing.objects import Json
from quotekit.billing.refusals import (
    MisconfiguredError,
    StripeUnavailableError,
    translated,
)
from quotekit.errors import ServiceUnavailableError
from quotekit.resilience import breakers, leases
from quotekit.resilience.retry import Policy, attempts
from quotekit.settings import StripeSettings, stripe_settings
from quotekit.webhooks.model import PermanentError

if TYPE_CHECKING:
    from stripe import StripeClient

ONCE_MORE: Final = Policy(attempts=2, first=0.5)
SHORTEST: Final = 0.1  # seconds a call is given when the time is over: it fails at once
NONSENSE: Final = (AttributeError, KeyError, TypeError, ValueError)
LEASE_MARGIN: Final = 10.0  # seconds a lease outlasts the time there is to ask
MOST: Final = 100  # of a list's objects in one answer


@dataclass(frozen=True, slots=True)
class Answer:
    """What Stripe said; `read_at` is by its clock, and everything before it is seen in it."""

    body: Json
    read_at: datetime

    @property
    def data(self) -> Sequence[Json]:
        return objects.listed(self.body)


class Stripe:
    """Asks until `until`, a moment of the monotonic clock. Raises errors of the house."""

    def __init__(
        self, settings: StripeSettings, *, until: float, account: str | None = None
    ) -> None:
        self.settings = settings
        self.until = until
        self.account = account
        self.name = settings.need("secret")
        self.key = _key_of(secrets.secret(self.name))
        self._api: StripeClient | None = None

    @property
    def api(self) -> "StripeClient":
        if self._api is None:
            self._api = _connected(self.settings, self.key, self.until)
        return self._api

    def on_behalf_of(self, account: str) -> "Stripe":
        """The same in a connected account: all of its calls carry `Stripe-Account`."""
        return Stripe(self.settings, until=self.until, account=account)

    @contextmanager
    def leased(self) -> Iterator[None]:
        """Ask as one of so many at once, of all processes. Raises StripeUnavailableError: that
        others ask as well is no fault of the caller's."""
        seconds = max(0.0, self.until - time.monotonic()) + LEASE_MARGIN
        try:
            lease = leases.take("dependency:stripe", seconds=seconds)
        except leases.AtCapacityError as error:
            raise StripeUnavailableError(error.retry_after) from error
        try:
            yield
        finally:
            leases.give_back(lease)

    def get(self, path: str, **params: object) -> Answer:
        return self._ask("get", path, params, None)

    def post(self, path: str, *, key: str | None = None, **params: object) -> Answer:
        """Change something, once however often it is tried; with a `key`, however often asked."""
        return self._ask("post", path, params, key or uuid4().hex)

    def delete(self, path: str) -> Answer:
        return self._ask("delete", path, {}, None)

    def _ask(self, method: str, path: str, params: Json, key: str | None) -> Answer:
        import stripe  # noqa: PLC0415

        try:
            return self._try(method, path, params, key)
        except stripe.AuthenticationError as refused:
            renewed = _key_of(secrets.refetch(self.name))
            if renewed == self.key:
                raise translated(refused) from refused
            self.key, self._api = renewed, None  # the key was rolled meanwhile
        except stripe.StripeError as error:
            raise translated(error) from error
        try:
            return self._try(method, path, params, key)
        except stripe.StripeError as error:
            raise translated(error) from error

    def _try(self, method: str, path: str, params: Json, key: str | None) -> Answer:
        options: dict[str, Any] = {} if key is None else {"idempotency_key": key}
        if self.account is not None:
            options["stripe_account"] = self.account
        for attempt in attempts(ONCE_MORE, until=self.until):
            with attempt, breakers.guard("stripe"):
                started = time.monotonic()
                try:
                    answer = self.api.raw_request(method, f"/v1/{path}", **params, **options)
                except NONSENSE as error:  # the library trips over an error that is none
                    raise PermanentError("Stripe's error cannot be read") from error
                body: Json = answer.data
                return Answer(body, _read_at(answer.headers, time.monotonic() - started))
        raise ServiceUnavailableError


def stripe(seconds: float) -> Stripe:
    """Stripe, for so long. Raises SecretNotFoundError or MisconfiguredError without a key."""
    return Stripe(stripe_settings(), until=time.monotonic() + seconds)


def _key_of(secret: secrets.Secret) -> str:
    key = secret.get("api_key")
    if not isinstance(key, str) or not key.isascii() or not key.isprintable() or not key:
        raise MisconfiguredError
    return key


def _connected(settings: StripeSettings, key: str, until: float) -> "StripeClient":
    import stripe  # noqa: PLC0415

    stripe.enable_telemetry = False

    class Patient(stripe.RequestsClient):
        """Waits no longer for an answer than there is time."""

        def request(  # type: ignore[override]  # as stripe's own clients do
            self,
            method: str,
            url: str,
            headers: Mapping[str, str] | None,
            post_data: Any = None,  # noqa: ANN401
        ) -> tuple[bytes, int, Mapping[str, str]]:
            left = max(SHORTEST, until - time.monotonic())
            self._timeout = min(settings.timeout, left)
            return super().request(method, url, headers, post_data)

    return stripe.StripeClient(
        key,
        http_client=Patient(),
        base_addresses={"api": settings.api_base},
        max_network_retries=0,
    )


def _read_at(headers: Mapping[str, str], seconds: float) -> datetime:
    """Stripe's time at the end, less the time the call took: it was read after that."""
    try:
        ended = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        ended = datetime.now(UTC) - timedelta(minutes=1)  # by our own clock, with room
    return ended - timedelta(seconds=ceil(seconds))
