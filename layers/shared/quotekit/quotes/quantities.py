"""Quantities a client may choose of a line: from the least to the most that its owner allows."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


class Measured(Protocol):
    """A line, whether drafted or priced."""

    @property
    def quantity(self) -> Decimal: ...

    @property
    def quantity_min(self) -> Decimal | None: ...

    @property
    def quantity_max(self) -> Decimal | None: ...


@dataclass(frozen=True, slots=True)
class Range:
    """Whole steps from the least on, of the finest decimal place that anything of it has: of 1 to
    10 whole numbers, of 0.5 to 10 tenths."""

    least: Decimal
    most: Decimal
    step: Decimal

    def __contains__(self, quantity: Decimal) -> bool:
        return self.least <= quantity <= self.most and not quantity % self.step


def range_of(line: Measured) -> Range | None:
    """What the client may choose from; None where the quantity is as it stands."""
    least, most = line.quantity_min, line.quantity_max
    if least is None or most is None:
        return None
    return Range(least, most, min(map(step, (least, most, line.quantity))))


def step(number: Decimal) -> Decimal:
    """1 for a whole number, 0.1 for one with a decimal: 2.50 has one."""
    exponent = number.normalize().as_tuple().exponent
    return Decimal(1).scaleb(min(0, int(exponent)))


def problem(line: Measured) -> str | None:
    """What is wrong with a range."""
    least, most = line.quantity_min, line.quantity_max
    if (least is None) != (most is None):
        return "quantity_min and quantity_max go together"
    if least is None or most is None:
        return None
    if least == 0:
        return "quantity_min is more than 0; a line that may be left out is an optional one"
    if least >= most:
        return "quantity_min is less than quantity_max"
    if not least <= line.quantity <= most:
        return "quantity lies from quantity_min to quantity_max"
    return None
