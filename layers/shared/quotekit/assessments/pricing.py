"""Conditions to prices, by rules: pure, exact, and each step told.

The work is one price: its area by the square foot, then each other factor in FACTORS' order; after
every step half up to the currency's smallest unit. A flat fee is a price of its own, which no
factor touches. Of a factor one rule applies: the account's where one of it fits, else the default.
A finding that no rule is about changes nothing; one that nobody made leaves the price open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Final, get_args

from quotekit.assessments.model import Charge, Conditions, Factor, Missing, Rule, Step
from quotekit.quotes.pricing import minor_units

DIGITS: Final = 60  # more than any product of what columns hold has
FACTORS: Final[tuple[Factor, ...]] = get_args(Factor.__value__)
# What a factor is read from, where that has another name.
INPUTS: Final = {"area": "area_sqft", "obstacle_density": "obstacle_count"}
NOT_FOUND: Final = "nobody looked, and a rule needs it"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The prices of the work, before markup and tax; none where something is missing."""

    charges: tuple[Charge, ...]
    missing: tuple[Missing, ...]


@dataclass
class _Account:
    """The price of the work as it grows."""

    conditions: Conditions
    unit: Decimal
    steps: list[Step] = field(default_factory=list)
    fees: list[Charge] = field(default_factory=list)

    @property
    def price(self) -> Decimal:
        return self.steps[-1].after if self.steps else 0 * self.unit

    def apply(self, rule: Rule) -> None:
        if rule.kind == "flat_fee":
            step = self._step(rule, 0 * self.unit)
            self.fees.append(Charge(rule.label, (step,), step.after))
        else:
            self.steps.append(self._step(rule, self.price))

    def _step(self, rule: Rule, before: Decimal) -> Step:
        raw = changed(before, rule, self.conditions.area_sqft or Decimal(0))
        after = raw.quantize(self.unit, ROUND_HALF_UP)
        found = shown(rule.factor, self.conditions)
        return Step(
            rule_id=rule.id,
            factor=rule.factor,
            kind=rule.kind,
            label=rule.label,
            found=found,
            amount=rule.amount,
            before=before,
            after=after,
            difference=after - before,
        )


def explain(conditions: Conditions, rules: Sequence[Rule], currency: str) -> Explanation:
    """Every price with its steps, or what is missing for one."""
    with localcontext(prec=DIGITS):
        missing = tuple(lacking(conditions, rules, currency))
        if missing:
            return Explanation((), missing)
        account = _Account(conditions, Decimal(1).scaleb(-minor_units(currency)))
        for factor in FACTORS:
            rule = chosen(factor, conditions, rules)
            if rule is not None:
                account.apply(rule)
        name = account.steps[0].label
        work = Charge(name, tuple(account.steps), account.price)
        return Explanation((work, *account.fees), ())


def changed(before: Decimal, rule: Rule, area: Decimal) -> Decimal:
    """A price after a rule, exactly."""
    match rule.kind:
        case "multiplier":
            return before * rule.amount
        case "percentage":
            return before * (100 + rule.amount) / 100
        case "per_sqft":
            return before + area * rule.amount
        case "flat_fee":
            return before + rule.amount


def lacking(conditions: Conditions, rules: Sequence[Rule], currency: str) -> Iterator[Missing]:
    for factor in FACTORS:
        about = [rule for rule in rules if rule.factor == factor]
        if unknown := needed(factor, conditions, about):
            yield Missing(unknown, NOT_FOUND)
            continue
        rule = chosen(factor, conditions, about)
        if rule is None and factor == "area":
            yield Missing("rules.area", "no rule says what this area costs")
        elif rule is not None and rule.currency not in {None, currency}:
            reason = f"“{rule.label}” is in {rule.currency}; make a rule in {currency}"
            yield Missing(f"rules.{factor}", reason)


def needed(factor: Factor, conditions: Conditions, about: Sequence[Rule]) -> str | None:
    """The input that a factor's rules need and that is not there."""
    if factor == "area":
        return "area_sqft" if conditions.area_sqft is None else None
    if not about or any(is_unconditional(rule) and not rule.is_default for rule in about):
        return None
    name = INPUTS.get(factor, factor)
    return name if getattr(conditions, name) is None else None


def chosen(factor: Factor, conditions: Conditions, rules: Sequence[Rule]) -> Rule | None:
    """The one rule about what was found: the account's own before the default."""
    found = measure(factor, conditions)
    fitting = [rule for rule in rules if rule.factor == factor and fits(rule, found)]
    return min(fitting, key=lambda rule: rule.is_default, default=None)


def fits(rule: Rule, found: str | Fraction | None) -> bool:
    if is_unconditional(rule):
        return True
    if found is None:
        return False
    if isinstance(found, str):
        return rule.value == found
    return (rule.range_from is None or Fraction(rule.range_from) <= found) and (
        rule.range_to is None or found < Fraction(rule.range_to)
    )


def is_unconditional(rule: Rule) -> bool:
    return rule.value is None and rule.range_from is None and rule.range_to is None


def measure(factor: Factor, conditions: Conditions) -> str | Fraction | None:
    """What was found, to compare: a word, or an exact number."""
    if factor == "obstacle_density":
        area, count = conditions.area_sqft, conditions.obstacle_count
        return None if area is None or count is None else Fraction(count * 1000) / Fraction(area)
    found: str | Decimal | int | None = getattr(conditions, INPUTS.get(factor, factor))
    return found if found is None or isinstance(found, str) else Fraction(found)


def shown(factor: Factor, conditions: Conditions) -> str | None:
    """What was found, to read."""
    found = getattr(conditions, INPUTS.get(factor, factor))
    if found is None:
        return None
    if factor == "obstacle_density":
        return f"{found} on {conditions.area_sqft:f} sq ft"
    return f"{found:f} sq ft" if factor == "area" else str(found)
