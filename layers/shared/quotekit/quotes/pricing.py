"""The one calculator: what a quote costs, by the arithmetic of DESIGN §8.

Every amount is zero or more, so half up (ties away from zero) is floor(x + ½) and has one meaning.
Decimals are added and multiplied exactly; the only roundings are the ones written down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import (
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Final, Literal

EXACT: Final = Context(prec=120, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
FINEST: Final = Decimal("0.0001")
LARGEST_INPUT: Final = 10**12 - FINEST
LARGEST_RATE: Final = Decimal(100)
LARGEST_MARKUP: Final = Decimal(1000)

# ISO 4217 list one as of 1 January 2026: the codes in use that have a minor unit.
MINOR_UNITS: Final = {
    code: digits
    for digits, codes in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        2: """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN
              BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD
              FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW
              KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR
              MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG
              SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD
              USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG""",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for code in codes.split()
}


class PricingError(ValueError):
    """A value the calculator refuses; `field` is its path, as in `lines.3.quantity`."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")


class UnknownCurrencyError(PricingError):
    def __init__(self, currency: str) -> None:
        super().__init__("currency", f"{currency!r} is not a currency of ISO 4217")


@dataclass(frozen=True, slots=True)
class Discount:
    """A reduction or a deposit: a percentage, or an amount capped at what it is taken from."""

    type: Literal["percent", "amount"]
    value: Decimal


@dataclass(frozen=True, slots=True)
class Line:
    quantity: Decimal
    unit_cost: Decimal
    tax_rate: Decimal | None = None
    discount: Discount | None = None
    optional: bool = False
    selected: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    currency: str
    markup_rate: Decimal = Decimal(0)
    tax_rate: Decimal = Decimal(0)
    tax_inclusive: bool = False
    tax_rounding: Literal["document", "line"] = "document"
    discount: Discount | None = None
    deposit: Discount | None = None


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line that does not count shows its price, and nothing of it enters the totals."""

    counts: bool
    unit_price: Decimal
    gross: Decimal
    discount_amount: Decimal
    line_total: Decimal
    discount_share: Decimal
    net: Decimal
    tax_rate: Decimal
    tax_amount: Decimal


@dataclass(frozen=True, slots=True)
class TaxRow:
    rate: Decimal
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """`markup_amount` is the owner's secret; below zero where rounding a unit price costs him."""

    lines: tuple[PricedLine, ...]
    subtotal: Decimal
    markup_amount: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    tax_breakdown: tuple[TaxRow, ...]
    total: Decimal
    deposit_amount: Decimal


def minor_units(currency: str) -> int:
    """How many decimals the currency has."""
    try:
        return MINOR_UNITS[currency]
    except KeyError:
        raise UnknownCurrencyError(currency) from None


def calculate(lines: Sequence[Line], terms: Terms) -> Totals:
    """Price a quote; raises PricingError for a value out of range rather than bend it."""
    with localcontext(EXACT):
        unit = Decimal(1).scaleb(-minor_units(terms.currency))
        _check(lines, terms, unit)
        offered = [_offer(line, terms, unit) for line in lines]
        weights = [line.line_total if line.counts else 0 * unit for line in offered]
        subtotal = sum(weights, 0 * unit)
        discount = _part(terms.discount, subtotal, unit)
        shares = _share(discount, weights, unit)
        priced = [
            replace(line, discount_share=share, net=weight - share)
            for line, weight, share in zip(offered, weights, shares, strict=True)
        ]
        breakdown = _tax(priced, terms, unit)
        tax = sum((row.tax for row in breakdown), 0 * unit)
        total = subtotal - discount + (0 * unit if terms.tax_inclusive else tax)
        return Totals(
            lines=tuple(priced),
            subtotal=subtotal,
            markup_amount=_markup(lines, priced, unit),
            discount_amount=discount,
            tax_amount=tax,
            tax_breakdown=breakdown,
            total=total,
            deposit_amount=_part(terms.deposit, total, unit),
        )


def _offer(line: Line, terms: Terms, unit: Decimal) -> PricedLine:
    unit_price = _round(line.unit_cost * (100 + terms.markup_rate), 100, unit)
    gross = _round(unit_price * line.quantity, 1, unit)
    discount = _part(line.discount, gross, unit)
    return PricedLine(
        counts=line.selected or not line.optional,
        unit_price=unit_price,
        gross=gross,
        discount_amount=discount,
        line_total=gross - discount,
        discount_share=0 * unit,
        net=0 * unit,
        tax_rate=terms.tax_rate if line.tax_rate is None else line.tax_rate,
        tax_amount=0 * unit,
    )


def _tax(priced: list[PricedLine], terms: Terms, unit: Decimal) -> tuple[TaxRow, ...]:
    """Put the tax on each line that counts, in place, and tell it per rate, lowest rate first."""
    positions: dict[Decimal, list[int]] = {}
    for position, line in enumerate(priced):
        if line.counts:
            positions.setdefault(line.tax_rate, []).append(position)

    breakdown = []
    for rate in sorted(positions):
        divisor = 100 + rate if terms.tax_inclusive else Decimal(100)
        nets = [priced[position].net for position in positions[rate]]
        net = sum(nets, 0 * unit)
        if terms.tax_rounding == "line":
            taxes = [_round(amount * rate, divisor, unit) for amount in nets]
        else:
            taxes = _share(_round(net * rate, divisor, unit), nets, unit)
        for position, tax in zip(positions[rate], taxes, strict=True):
            priced[position] = replace(priced[position], tax_amount=tax)
        breakdown.append(TaxRow(rate, net, sum(taxes, 0 * unit)))
    return tuple(breakdown)


def _markup(lines: Sequence[Line], priced: Sequence[PricedLine], unit: Decimal) -> Decimal:
    return sum(
        (
            offer.gross - _round(line.unit_cost * line.quantity, 1, unit)
            for line, offer in zip(lines, priced, strict=True)
            if offer.counts
        ),
        0 * unit,
    )


def _part(discount: Discount | None, whole: Decimal, unit: Decimal) -> Decimal:
    if discount is None:
        return 0 * unit
    if discount.type == "percent":
        return _round(whole * discount.value, 100, unit)
    return min(discount.value.quantize(unit), whole)


def _round(numerator: Decimal, denominator: Decimal | int, unit: Decimal) -> Decimal:
    """The quotient in whole units, half up, without ever computing the quotient itself."""
    return (2 * numerator + denominator * unit) // (2 * denominator * unit) * unit


def _share(amount: Decimal, weights: Sequence[Decimal], unit: Decimal) -> list[Decimal]:
    """Split an amount by weight in whole units; the largest remainders take what is left over.

    Weights that are all zero have nothing to share: the amount is a part of their sum.
    """
    whole = sum(weights, 0 * unit)
    if not whole:
        return [0 * unit for _ in weights]
    shares, remainders = [], []
    for weight in weights:
        count, remainder = divmod(amount * weight, whole * unit)
        shares.append(count * unit)
        remainders.append(remainder)
    left_over = int((amount - sum(shares, 0 * unit)) / unit)
    # sorted() is stable, so of equal remainders the earlier line is first
    by_remainder = sorted(range(len(weights)), key=lambda index: remainders[index], reverse=True)
    for index in by_remainder[:left_over]:
        shares[index] += unit
    return shares


def _check(lines: Sequence[Line], terms: Terms, unit: Decimal) -> None:
    _within("markup_rate", terms.markup_rate, LARGEST_MARKUP)
    _within("tax_rate", terms.tax_rate, LARGEST_RATE)
    _check_part("discount", terms.discount, unit)
    _check_part("deposit", terms.deposit, unit)
    for index, line in enumerate(lines):
        _within(f"lines.{index}.quantity", line.quantity, LARGEST_INPUT)
        _within(f"lines.{index}.unit_cost", line.unit_cost, LARGEST_INPUT)
        if line.tax_rate is not None:
            _within(f"lines.{index}.tax_rate", line.tax_rate, LARGEST_RATE)
        _check_part(f"lines.{index}.discount", line.discount, unit)


def _check_part(field: str, discount: Discount | None, unit: Decimal) -> None:
    if discount is None:
        return
    if discount.type == "percent":
        _within(f"{field}.value", discount.value, LARGEST_RATE)
    else:
        _within(f"{field}.value", discount.value, LARGEST_INPUT, unit)


def _within(field: str, value: Decimal, largest: Decimal, finest: Decimal = FINEST) -> None:
    if not value.is_finite():
        raise PricingError(field, "must be a number")
    if value.is_signed() or value > largest:
        raise PricingError(field, f"must be from 0 to {largest}")
    if value % finest:
        raise PricingError(field, f"must be a multiple of {finest}")
