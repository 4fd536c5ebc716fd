"""Stripe's JSON, read: of API versions before and after 2025-03-31, in which periods and payments
moved to other places.

Raises PermanentError for what is not the object its event says: a retry cannot mend it.
Source of the shapes: https://docs.stripe.com/api, https://docs.stripe.com/changelog/basil
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, cast, get_args
from uuid import UUID

from quotekit.billing import entitlements
from quotekit.billing.model import (
    Customer,
    Item,
    PaymentMethod,
    Price,
    Product,
    Session,
    Status,
    Subscription,
)
from quotekit.webhooks.model import PermanentError

type Json = Mapping[str, Any]

STATUSES: Final = frozenset(get_args(Status.__value__))
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError)
LONGEST_TEXT: Final = 1000


def checked[R](read: Callable[[Json], R]) -> Callable[[Json], R]:
    """What cannot be read now can never be."""

    @wraps(read)
    def parse(thing: Json) -> R:
        try:
            return read(thing)
        except UNREADABLE as error:
            raise PermanentError(f"not Stripe's {read.__name__}: {error!r}") from error

    return parse


@checked
def customer(thing: Json) -> Customer:
    chosen = (thing.get("invoice_settings") or {}).get("default_payment_method")
    return Customer(identifier(thing["id"]), reference(chosen), bool(thing.get("deleted")))


@checked
def product(thing: Json) -> Product:
    said = entitlements.read({str(k): str(v) for k, v in (thing.get("metadata") or {}).items()})
    return Product(
        id=identifier(thing["id"]),
        name=str(thing["name"]),
        active=bool(thing["active"]),
        plan_key=said.plan,
        features=said.features,
        warnings=said.warnings,
        created_at=moment(thing["created"]),
    )


@checked
def price(thing: Json) -> Price:
    recurring = thing.get("recurring") or {}
    return Price(
        id=identifier(thing["id"]),
        product_id=identifier(reference(thing["product"])),
        active=bool(thing["active"]),
        currency=str(thing["currency"]).upper(),
        unit_amount=number(thing.get("unit_amount")),
        interval=word(recurring.get("interval")),
        interval_count=number(recurring.get("interval_count")),
        trial_days=number(recurring.get("trial_period_days")),
        created_at=moment(thing["created"]),
    )


@checked
def subscription(thing: Json) -> Subscription:
    status = thing["status"]
    if status not in STATUSES:
        raise ValueError(f"status {status!r} is not known")
    return Subscription(
        id=identifier(thing["id"]),
        customer_id=identifier(reference(thing["customer"])),
        status=cast(Status, status),
        items=[_item(item, thing) for item in thing["items"]["data"]],
        cancel_at_period_end=bool(thing.get("cancel_at_period_end")),
        cancel_at=optional(thing.get("cancel_at")),
        canceled_at=optional(thing.get("canceled_at")),
        ended_at=optional(thing.get("ended_at")),
        trial_start=optional(thing.get("trial_start")),
        trial_end=optional(thing.get("trial_end")),
        created_at=moment(thing["created"]),
    )


def _item(item: Json, whole: Json) -> Item:
    """Since 2025-03-31 each item has its own period; before, the subscription had one."""
    sold = item["price"]
    return Item(
        id=identifier(item["id"]),
        price_id=identifier(sold["id"]),
        product_id=identifier(reference(sold["product"])),
        quantity=int(item.get("quantity") or 1),
        period_start=optional(item.get("current_period_start", whole.get("current_period_start"))),
        period_end=optional(item.get("current_period_end", whole.get("current_period_end"))),
    )


@checked
def payment_method(thing: Json) -> PaymentMethod:
    """What a detached one was is not kept."""
    customer_id = reference(thing.get("customer"))
    card = (thing.get("card") or {}) if customer_id else {}
    return PaymentMethod(
        id=identifier(thing["id"]),
        customer_id=customer_id,
        type=str(thing["type"]) if customer_id else None,
        brand=word(card.get("brand")),
        last4=word(card.get("last4")),
        exp_month=number(card.get("exp_month")),
        exp_year=number(card.get("exp_year")),
        created_at=moment(thing["created"]),
    )


@checked
def session(thing: Json) -> Session:
    return Session(
        id=identifier(thing["id"]),
        open=thing["status"] == "open" and thing["mode"] == "subscription",
        url=reference(thing.get("url")),
        success_url=word(thing.get("success_url")),
        cancel_url=word(thing.get("cancel_url")),
        price_id=word((thing.get("metadata") or {}).get("price_id")),
        expires_at=optional(thing.get("expires_at")),
    )


@checked
def listed(thing: Json) -> Sequence[Json]:
    """The objects of a list."""
    found: Sequence[Json] = thing["data"]
    if not isinstance(found, list):
        raise TypeError("a list is no list")
    return found


@checked
def payer(thing: Json) -> str | None:
    """The customer an object belongs to."""
    return reference(thing.get("customer"))


@checked
def method(thing: Json) -> str | None:
    return reference(thing.get("payment_method"))


@checked
def changed_at(thing: Json) -> datetime | None:
    return optional(thing.get("updated"))


@checked
def link(thing: Json) -> str:
    return identifier(thing["url"])


@checked
def name(thing: Json) -> str:
    return identifier(thing["id"])


def claimed_account(thing: Json) -> UUID | None:
    """The account our own metadata names. A client_reference_id may come from a stranger's link."""
    metadata = thing.get("metadata")
    try:
        return UUID(metadata["account_id"]) if isinstance(metadata, Mapping) else None
    except (KeyError, ValueError, AttributeError, TypeError):
        return None


def identifier(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("an id is missing")
    return value


def reference(value: object) -> str | None:
    """The id of another object, which Stripe may have expanded in place."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return None if value is None else identifier(value)


def moment(seconds: object) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError("a time is no number of seconds")
    return datetime.fromtimestamp(seconds, UTC)


def optional(seconds: object) -> datetime | None:
    return None if seconds is None else moment(seconds)


def word(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("a text is no text")
    return value


def number(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError("a number is no number")
    return value


def text(value: object) -> str | None:
    return None if value is None else str(value)[:LONGEST_TEXT]
