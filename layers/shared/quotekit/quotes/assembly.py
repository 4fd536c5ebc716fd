"""From a row to a quote: amounts get the decimals of their currency, quantities lose idle zeros."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from quotekit.quotes.model import Delivery, Quote, QuoteLine, Recipient, TaxShare
from quotekit.quotes.pricing import Discount, minor_units

type Money = Callable[[Decimal | str], Decimal]


def money_of(currency: str) -> Money:
    """Writes an amount with exactly the decimals of ISO 4217: 10 → 10.00, and 10 for yen."""
    exponent = Decimal(1).scaleb(-minor_units(currency))
    return lambda amount: Decimal(amount).quantize(exponent)


def plain(value: Decimal | str, *, at_least: int = 0) -> Decimal:
    """A number without trailing zeros beyond `at_least` decimals."""
    short = Decimal(value).normalize()
    decimals = max(at_least, -int(short.as_tuple().exponent))
    return short.quantize(Decimal(1).scaleb(-max(decimals, 0)))


def known(value: Decimal | str | None) -> Decimal | None:
    """The same of what may have been left out."""
    return None if value is None else plain(value)


AS_STORED: Final = (
    *("id", "number", "version", "revision", "revises", "status", "is_template", "template_name"),
    "client_id",
    *("currency", "language", "tax_inclusive", "tax_rounding", "notes", "terms", "valid_until"),
    *("created_at", "updated_at", "sent_at", "viewed_at", "decided_at", "decision_note"),
    *("converted_at", "expires_at"),
)
AMOUNTS: Final = (
    *("subtotal", "markup_amount", "discount_amount", "tax_amount", "total", "deposit_amount"),
)


def assemble(row: Mapping[str, Any]) -> Quote:
    money = money_of(row["currency"])
    same: dict[str, Any] = {name: row[name] for name in AS_STORED}
    same |= {name: money(row[name]) for name in AMOUNTS}
    return Quote(
        **same,
        client=Recipient(
            row["client_name"], row["client_email"], row["client_phone"], row["client_address"]
        ),
        line_items=tuple(line_of(line, money, row["currency"]) for line in row["lines"] or ()),
        tax_rate=plain(row["tax_rate"]),
        markup_rate=plain(row["markup_rate"]),
        discount=discount_of(row["discount_type"], row["discount_value"]),
        deposit=discount_of(row["deposit_type"], row["deposit_value"]),
        tax_breakdown=tuple(
            TaxShare(plain(share["rate"]), money(share["net"]), money(share["tax"]))
            for share in row["tax_breakdown"]
        ),
        delivery=delivery_of(row["delivery"]),
    )


def line_of(line: Mapping[str, Any], money: Money, currency: str) -> QuoteLine:
    return QuoteLine(
        position=line["position"],
        item_id=line["item_id"] and UUID(line["item_id"]),
        name=line["name"],
        description=line["description"],
        unit=line["unit"],
        quantity=plain(line["quantity"]),
        unit_cost=plain(line["unit_cost"], at_least=minor_units(currency)),
        tax_rate=known(line["tax_rate"]),
        discount=discount_of(line["discount_type"], line["discount_value"]),
        optional=line["optional"],
        selected=line["selected"],
        unit_price=money(line["unit_price"]),
        discount_amount=money(line["discount_amount"]),
        line_total=money(line["line_total"]),
        net=money(line["net"]),
        tax_amount=money(line["tax_amount"]),
        group=line["group"],
        choice=line["choice"],
        quantity_min=known(line["quantity_min"]),
        quantity_max=known(line["quantity_max"]),
    )


def discount_of(kind: Any, value: Any) -> Discount | None:  # noqa: ANN401 - columns of a row
    return None if kind is None else Discount(kind, plain(value))


def delivery_of(mail: Mapping[str, Any] | None) -> Delivery | None:
    if mail is None:
        return None
    sent_at = mail["sent_at"]
    return Delivery(**{**mail, "sent_at": sent_at and datetime.fromisoformat(sent_at)})
