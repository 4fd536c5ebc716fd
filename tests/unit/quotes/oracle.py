"""A second calculator, for the tests only: DESIGN §8 in exact fractions, told from the totals down.

It shares no code with quotekit and takes plain dictionaries: a mistake would have to be made twice.
"""

from fractions import Fraction

DECIMALS = {"JPY": 0, "CLP": 0, "EUR": 2, "USD": 2, "CHF": 2, "KWD": 3, "TND": 3}


def nearest(value, step):
    """The multiple of step closest to value; of two equally close the greater."""
    below = value - value % step
    return below if value - below < below + step - value else below + step


def reduction(part, base, step):
    if part is None:
        return Fraction(0)
    kind, value = part
    return nearest(base * value / 100, step) if kind == "percent" else min(value, base)


def apportion(amount, weights, step):
    """Hand out one step at a time, always to the line that is furthest below its exact claim."""
    total = sum(weights)
    claims = [amount * weight / total if total else Fraction(0) for weight in weights]
    given = [claim - claim % step for claim in claims]
    while sum(given) < amount:
        most_owed = max(claim - got for claim, got in zip(claims, given, strict=True))
        for index, claim in enumerate(claims):
            if claim - given[index] == most_owed:
                given[index] += step
                break
    return given


def price(quote):
    step = Fraction(1, 10 ** DECIMALS[quote["currency"]])
    rows = [price_line(line, quote, step) for line in quote["lines"]]
    costs = [nearest(line["unit_cost"] * line["quantity"], step) for line in quote["lines"]]
    counted = [row for row in rows if row["counts"]]

    subtotal = sum((row["line_total"] for row in counted), Fraction(0))
    discount = reduction(quote["discount"], subtotal, step)
    shares = apportion(discount, [row["line_total"] for row in counted], step)
    for row, share in zip(counted, shares, strict=True):
        row["discount_share"] = share
        row["net"] = row["line_total"] - share

    breakdown = [
        tax_of_rate(rate, [row for row in counted if row["tax_rate"] == rate], quote, step)
        for rate in sorted({row["tax_rate"] for row in counted})
    ]
    tax = sum((row[2] for row in breakdown), Fraction(0))
    total = subtotal - discount if quote["tax_inclusive"] else subtotal - discount + tax
    return {
        "lines": rows,
        "subtotal": subtotal,
        "discount_amount": discount,
        "tax_breakdown": breakdown,
        "tax_amount": tax,
        "total": total,
        "deposit_amount": reduction(quote["deposit"], total, step),
        "markup_amount": sum(
            row["gross"] - cost for row, cost in zip(rows, costs, strict=True) if row["counts"]
        ),
    }


def price_line(line, quote, step):
    unit_price = nearest(line["unit_cost"] * (1 + quote["markup_rate"] / 100), step)
    gross = nearest(unit_price * line["quantity"], step)
    reduced = reduction(line["discount"], gross, step)
    return {
        "counts": line["selected"] if line["optional"] else True,
        "unit_price": unit_price,
        "gross": gross,
        "discount_amount": reduced,
        "line_total": gross - reduced,
        "discount_share": Fraction(0),
        "net": Fraction(0),
        "tax_rate": quote["tax_rate"] if line["tax_rate"] is None else line["tax_rate"],
        "tax_amount": Fraction(0),
    }


def tax_of_rate(rate, rows, quote, step):
    base = sum(row["net"] for row in rows)
    part = rate / (100 + rate) if quote["tax_inclusive"] else rate / 100
    if quote["tax_rounding"] == "line":
        amounts = [nearest(row["net"] * part, step) for row in rows]
    else:
        amounts = apportion(nearest(base * part, step), [row["net"] for row in rows], step)
    for row, amount in zip(rows, amounts, strict=True):
        row["tax_amount"] = amount
    return (rate, base, sum(amounts))
