"""Amounts as Stripe counts them: whole numbers of the currency's minor unit.

Source: https://docs.stripe.com/currencies#minor-units
"""

from decimal import Decimal
from typing import Final

from quotekit.errors import ConflictError
from quotekit.quotes import pricing

# Stripe does not count these by ISO 4217, and says so differently over the years.
ODD: Final = {"ISK", "UGX", "MGA"}
MOST_DIGITS: Final = 3


def check(currency: str) -> None:
    """Raise ConflictError for a currency in which nothing is asked of Stripe."""
    if currency in ODD or pricing.minor_units(currency) > MOST_DIGITS:
        raise ConflictError(f"{currency} cannot be paid at Stripe through this API.")


def to_minor(amount: Decimal, currency: str) -> int:
    """10.50 USD → 1050, 500 JPY → 500. Raises ConflictError.

    Of three decimals Stripe takes those whose last is a zero."""
    check(currency)
    digits = pricing.minor_units(currency)
    minor = amount.scaleb(digits)
    if minor != minor.to_integral_value() or (digits == MOST_DIGITS and minor % 10):
        raise ConflictError(f"Stripe takes no such amount of {currency}.")
    return int(minor)


def from_minor(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-pricing.minor_units(currency))
