"""Raise or lower what items cost, by a percentage or an amount."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import Field, model_validator

from quotekit import audit
from quotekit.batches.items import ById, answered, by_id, ids_of
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.errors import invalid
from quotekit.quotes import basis, pricing

LARGEST: Final = Decimal(10) ** 12  # what the column cannot hold
FLOOR: Final = Decimal(0)
Adjustment = Annotated[Decimal, Field(gt=-LARGEST, lt=LARGEST, max_digits=16, decimal_places=4)]
Percentage = Annotated[Decimal, Field(ge=-100, le=10_000, max_digits=9, decimal_places=4)]
Step = Annotated[Decimal, Field(gt=0, le=1_000_000, max_digits=11, decimal_places=4)]


class Parameters(Body):
    """`percent` or `amount`, below zero to lower. What comes of it is rounded half up to whole
    `round_to`, else to the smallest coin of the account's currency, and is never below zero."""

    percent: Percentage | None = None
    amount: Adjustment | None = None
    round_to: Step | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.percent is None) == (self.amount is None):
            raise ValueError("give percent or amount, and not both")
        return self


# What this job has changed it does not change again, whatever else goes wrong.
HOLD: Final = """
select item.id, trim_scale(item.unit_cost), exists (
    select from app.audit_events as event
    where event.account_id = (select auth.account_id()) and event.object_id = item.id
      and event.action = 'item.changed' and event.details ->> 'batch' = %(batch)s)
from app.items as item
where item.account_id = (select auth.account_id()) and item.id = any(%(ids)s)
order by item.id for update of item
"""
UPDATE: Final = """
update app.items as item set unit_cost = new.unit_cost, version = item.version + 1
from unnest(%(ids)s::uuid[], %(costs)s::numeric[]) as new (id, unit_cost)
where item.account_id = (select auth.account_id()) and item.id = new.id
"""
ALREADY: Final = Outcome("unchanged", "This batch has changed it before.")
TOO_LARGE: Final = Outcome("conflict", "Its price would have more than 12 digits.")


def apply(connection: Connection, work: Work, items: Sequence[ById]) -> list[Outcome]:
    values = {"ids": ids_of(items), "batch": str(work.job_id)}
    held = connection.execute(HOLD, values).fetchall()
    step = work.parameters.round_to or coin(connection)
    costs = {item: cost for item, cost, done in held if not done}
    prices = {item: price(cost, work.parameters, step) for item, cost in costs.items()}
    changed = {item: new for item, new in prices.items() if costs[item] != new < LARGEST}
    store(connection, work, costs, changed)

    outcomes = {item: outcome(costs[item], new) for item, new in prices.items()}
    return answered(items, {item: outcomes.get(item, ALREADY) for item, _, _ in held})


def coin(connection: Connection) -> Decimal:
    """The smallest coin of the account's currency."""
    try:
        units = pricing.minor_units(basis.company(connection).currency)
    except pricing.UnknownCurrencyError as error:
        raise invalid("round_to", f"is needed: {error.problem}") from error
    return Decimal(1).scaleb(-units)


def price(cost: Decimal, wanted: Parameters, step: Decimal) -> Decimal:
    """The new price, in whole steps, half up; computed exactly."""
    with localcontext(pricing.EXACT):
        if wanted.percent is None:
            numerator, denominator = cost + (wanted.amount or 0), 1
        else:
            numerator, denominator = cost * (100 + wanted.percent), 100
        steps = (2 * max(numerator, FLOOR) + denominator * step) // (2 * denominator * step)
        return steps * step


def store(
    connection: Connection,
    work: Work,
    costs: Mapping[UUID, Decimal],
    changed: Mapping[UUID, Decimal],
) -> None:
    values = {"ids": list(changed), "costs": list(changed.values())}
    connection.execute(UPDATE, values)
    said = {"fields": ["unit_cost"], "batch": str(work.job_id)}
    happened = {item: said | change(costs[item], new) for item, new in changed.items()}
    audit.record_all(connection, "item.changed", happened)


def change(old: Decimal, new: Decimal) -> dict[str, Any]:
    return {"from": f"{old:f}", "to": f"{new:f}"}


def outcome(old: Decimal, new: Decimal) -> Outcome:
    if new >= LARGEST:
        return TOO_LARGE
    return Outcome("unchanged" if old == new else "changed", data=change(old, new))


UPDATE_ITEM_PRICES: Final = Operation(
    name="update_item_prices",
    item=ById,
    key=by_id,
    parameters=Parameters,
    apply=apply,
    milliseconds=0.15,
)
