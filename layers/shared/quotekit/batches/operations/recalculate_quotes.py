"""Price drafts anew by the one calculator, with their own costs and rates or today's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from quotekit import audit
from quotekit.batches.items import ById, answered, by_id, ids_of
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.batches.operations import holding
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.errors import InvalidInputError
from quotekit.quotes import basis, repository, repricing, service
from quotekit.quotes.assembly import plain
from quotekit.quotes.basis import Company
from quotekit.quotes.model import Draft, Quote, QuoteLine
from quotekit.quotes.pricing import Totals
from quotekit.quotes.repository import Found
from quotekit.quotes.repricing import Repriced

AMOUNTS: Final = (
    *("subtotal", "markup_amount", "discount_amount", "tax_amount", "total", "deposit_amount"),
)


class Parameters(Body):
    """Whose figures count: `costs` of the lines as they are or of the `catalog`'s items; `rates`
    (tax, markup, rounding of tax) as they are or of the `company`'s settings."""

    costs: Literal["kept", "catalog"] = "kept"
    rates: Literal["kept", "company"] = "kept"


COSTS: Final = """
select id, unit_cost from app.items
where account_id = (select auth.account_id()) and id = any(%(ids)s)
"""


@dataclass(frozen=True, slots=True)
class Today:
    """What counts today, where the quotes' own figures do not."""

    company: Company
    costs: Mapping[UUID, Decimal]


def apply(connection: Connection, work: Work, items: Sequence[ById]) -> list[Outcome]:
    held = holding.quotes(connection, ids_of(items))
    outcomes = {quote_id: refused(status) for quote_id, status in held.items()}
    drafts = [quote_id for quote_id, status in held.items() if status == "draft"]
    found = repository.get_all(connection, drafts)  # later than the lock, so as they are
    now = Today(basis.company(connection), costs(connection, work.parameters, found))
    changed: list[Repriced] = []
    for quote_id, quote in found.items():
        outcomes[quote_id] = reprice(work.parameters, quote, now, changed)
    store(connection, work, changed)
    return answered(items, outcomes)


def refused(status: str) -> Outcome:
    return Outcome("conflict", f"A quote that is {status} cannot be changed.")


def costs(
    connection: Connection, wanted: Parameters, found: Mapping[UUID, Found]
) -> dict[UUID, Decimal]:
    """What the items of the quotes cost today, if that counts."""
    if wanted.costs == "kept":
        return {}
    lines = (line for one in found.values() for line in one.quote.line_items)
    ids = sorted({line.item_id for line in lines if line.item_id})
    return dict(connection.execute(COSTS, {"ids": ids}).fetchall())


def reprice(wanted: Parameters, found: Found, now: Today, changed: list[Repriced]) -> Outcome:
    """Say what becomes of a draft, and note it if something does."""
    quote = found.quote
    if wanted.costs == "catalog" and quote.currency != now.company.currency:
        return Outcome("conflict", f"The catalogue has no costs in {quote.currency}.")
    draft = renewed(service.draft_of(quote), wanted, now)
    try:
        lines, totals = service.price(draft)
    except InvalidInputError as error:
        return Outcome("invalid", "; ".join(f"{d['field']}: {d['message']}" for d in error.details))
    if same(quote, draft, lines, totals):
        return Outcome("unchanged")
    changed.append(Repriced(found, draft, lines, totals))
    return Outcome("changed", data=difference(changed[-1]))


def difference(one: Repriced) -> dict[str, str]:
    return {"from": str(one.found.quote.total), "to": str(one.totals.total)}


def store(connection: Connection, work: Work, changed: Sequence[Repriced]) -> None:
    if not changed:
        return
    repricing.store(connection, changed)
    batch = {"batch": str(work.job_id)}
    happened = {one.found.quote.id: difference(one) | batch for one in changed}
    audit.record_all(connection, "quote.recalculated", happened)


def renewed(draft: Draft, wanted: Parameters, now: Today) -> Draft:
    lines = tuple(
        replace(line, unit_cost=now.costs[line.item_id])
        if line.item_id is not None and line.item_id in now.costs
        else line
        for line in draft.line_items
    )
    repriced = replace(draft, line_items=lines)
    if wanted.rates == "kept":
        return repriced
    return replace(
        repriced,
        tax_rate=plain(now.company.default_tax_rate),
        markup_rate=plain(now.company.default_markup_rate),
        tax_rounding=now.company.tax_rounding,
    )


def same(quote: Quote, draft: Draft, lines: Sequence[QuoteLine], totals: Totals) -> bool:
    """Whether the quote says all this already."""
    return (
        service.draft_of(quote) == draft
        and quote.line_items == tuple(lines)
        and quote.tax_breakdown == service.shares(totals)
        and all(getattr(quote, name) == getattr(totals, name) for name in AMOUNTS)
    )


RECALCULATE_QUOTES: Final = Operation(
    name="recalculate_quotes",
    item=ById,
    key=by_id,
    parameters=Parameters,
    apply=apply,
    milliseconds=1,
)
