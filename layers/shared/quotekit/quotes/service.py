"""What can be done with a quote."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from quotekit import audit
from quotekit.database import Connection
from quotekit.errors import ConflictError, StaleVersionError, invalid
from quotekit.quotes import basis, groups, lifecycle, pricing, repository
from quotekit.quotes.assembly import known, money_of, plain
from quotekit.quotes.basis import Company
from quotekit.quotes.model import (
    Calculation,
    Draft,
    DraftLine,
    Quote,
    QuoteLine,
    Recipient,
    Status,
    TaxShare,
)
from quotekit.quotes.requests import QuoteChange, QuoteCreate

COPIED = tuple(field.name for field in fields(Draft))


def create_quote(connection: Connection, body: QuoteCreate) -> Quote:
    """Store a draft. Raises InvalidInputError for what cannot be priced or does not exist."""
    draft = compose(connection, body, basis.company(connection))
    return store(connection, draft, action="quote.created")


def calculate(connection: Connection, body: QuoteCreate) -> Calculation:
    """The prices of a quote that is not stored."""
    return calculation(compose(connection, body, basis.company(connection)))


def calculation(draft: Draft) -> Calculation:
    """The prices of a draft. Raises InvalidInputError for what cannot be priced."""
    lines, totals = price(draft)
    return Calculation(
        currency=draft.currency,
        line_items=lines,
        subtotal=totals.subtotal,
        markup_amount=totals.markup_amount,
        discount_amount=totals.discount_amount,
        tax_amount=totals.tax_amount,
        tax_breakdown=shares(totals),
        total=totals.total,
        deposit_amount=totals.deposit_amount,
    )


def compose(connection: Connection, body: QuoteCreate, company: Company) -> Draft:
    """What the body says, over what the account says."""
    return checked(apply(connection, blank(company), body.said()))


def blank(company: Company) -> Draft:
    """What the account says of a quote of which nothing was said yet."""
    return Draft(
        client_id=None,
        client=Recipient(),
        currency=company.currency,
        language=company.language,
        line_items=(),
        tax_rate=plain(company.default_tax_rate),
        tax_inclusive=False,
        tax_rounding=company.tax_rounding,
        markup_rate=plain(company.default_markup_rate),
        terms=company.quote_terms,
    )


def apply(connection: Connection, draft: Draft, said: dict[str, Any]) -> Draft:
    """Overlay what was said; a client named by id is looked up, one given in full has no id."""
    changes = dict(said)
    if changes.get("client_id") is not None:
        changes["client"] = basis.recipient(connection, changes["client_id"])
    elif changes.get("client") is not None:
        changes["client_id"] = None
    elif "client" in changes or "client_id" in changes:
        changes |= {"client_id": None, "client": Recipient()}
    return replace(draft, **changes)


def checked(draft: Draft) -> Draft:
    if draft.is_template and draft.template_name is None:
        raise invalid("template_name", "a template needs a name")
    if not draft.is_template and draft.template_name is not None:
        raise invalid("template_name", "only a template has a name")
    return draft


def store(
    connection: Connection,
    draft: Draft,
    *,
    action: str,
    revised: Quote | None = None,
    **details: Any,  # noqa: ANN401
) -> Quote:
    lines, totals = price(draft)
    quote_id, created_at = repository.insert(connection, draft, lines, totals, revised)
    basis.touch_items(connection, [line.item_id for line in lines if line.item_id])
    audit.record(connection, action, quote_id, {"total": str(totals.total), **details})
    stored = present(quote_id, created_at, draft, lines, totals)
    return replace(stored, revises=revised.id, revision=revised.revision + 1) if revised else stored


def price(draft: Draft) -> tuple[tuple[QuoteLine, ...], pricing.Totals]:
    """The lines with their prices, and the totals. Raises InvalidInputError naming the value."""
    groups.check(draft.line_items)
    terms = pricing.Terms(
        currency=draft.currency,
        markup_rate=draft.markup_rate,
        tax_rate=draft.tax_rate,
        tax_inclusive=draft.tax_inclusive,
        tax_rounding=draft.tax_rounding,
        discount=draft.discount,
        deposit=draft.deposit,
    )
    try:
        totals = pricing.calculate([costs(line) for line in draft.line_items], terms)
    except pricing.PricingError as error:
        raise invalid(error.field.replace("lines.", "line_items."), error.problem) from error
    pairs = enumerate(zip(draft.line_items, totals.lines, strict=True), start=1)
    lines = tuple(line_of(position, *pair, draft.currency) for position, pair in pairs)
    return lines, totals


def line_of(position: int, line: DraftLine, priced: pricing.PricedLine, currency: str) -> QuoteLine:
    money = money_of(currency)
    return QuoteLine(
        position=position,
        item_id=line.item_id,
        name=line.name,
        description=line.description,
        unit=line.unit,
        quantity=plain(line.quantity),
        unit_cost=plain(line.unit_cost, at_least=pricing.minor_units(currency)),
        tax_rate=known(line.tax_rate),
        discount=line.discount,
        optional=line.optional,
        selected=line.selected,
        unit_price=money(priced.unit_price),
        discount_amount=money(priced.discount_amount),
        line_total=money(priced.line_total),
        net=money(priced.net),
        tax_amount=money(priced.tax_amount),
        group=line.group,
        choice=line.choice,
        quantity_min=known(line.quantity_min),
        quantity_max=known(line.quantity_max),
    )


def costs(line: DraftLine) -> pricing.Line:
    return pricing.Line(
        quantity=line.quantity,
        unit_cost=line.unit_cost,
        tax_rate=line.tax_rate,
        discount=line.discount,
        optional=line.optional,
        selected=line.selected,
    )


def shares(totals: pricing.Totals) -> tuple[TaxShare, ...]:
    return tuple(TaxShare(plain(row.rate), row.net, row.tax) for row in totals.tax_breakdown)


def present(
    quote_id: UUID,
    created_at: datetime,
    draft: Draft,
    lines: tuple[QuoteLine, ...],
    totals: pricing.Totals,
) -> Quote:
    """A draft that was just stored, without reading it again."""
    said = {name: getattr(draft, name) for name in COPIED}
    return Quote(
        **said
        | {"line_items": lines, "tax_rate": plain(draft.tax_rate)}
        | {"markup_rate": plain(draft.markup_rate)},
        id=quote_id,
        number=None,
        version=1,
        revision=1,
        revises=None,
        status="draft",
        subtotal=totals.subtotal,
        markup_amount=totals.markup_amount,
        discount_amount=totals.discount_amount,
        tax_amount=totals.tax_amount,
        tax_breakdown=shares(totals),
        total=totals.total,
        deposit_amount=totals.deposit_amount,
        created_at=created_at,
        updated_at=created_at,
        sent_at=None,
        viewed_at=None,
        decided_at=None,
        decision_note=None,
        converted_at=None,
        expires_at=None,
        delivery=None,
    )


def draft_of(quote: Quote) -> Draft:
    """What the owner said to get this quote."""
    names = [field.name for field in fields(DraftLine)]
    lines = tuple(
        DraftLine(**{name: getattr(line, name) for name in names}) for line in quote.line_items
    )
    return Draft(**{name: getattr(quote, name) for name in COPIED} | {"line_items": lines})


def change_quote(
    connection: Connection, quote_id: UUID, body: QuoteChange, *, version: int
) -> Quote:
    """Change a draft. Raises StaleVersionError when it is not the version the change was made
    from."""
    found = repository.get(connection, quote_id, lock=True)
    require_draft(found.quote)
    if found.quote.version != version:
        raise StaleVersionError
    said = body.said()
    draft = checked(apply(connection, draft_of(found.quote), said))
    if found.quote.revises is not None:
        basis.require_same_client(found.quote, draft)
    lines, totals = price(draft)
    repository.update(connection, found, draft, lines, totals)
    audit.record(connection, "quote.changed", quote_id, {"fields": sorted(said)})
    return repository.get(connection, quote_id).quote


def delete_quote(connection: Connection, quote_id: UUID) -> None:
    """Delete a draft; what was sent stays."""
    require_draft(repository.get(connection, quote_id, lock=True).quote)
    repository.delete(connection, quote_id)
    audit.record(connection, "quote.deleted", quote_id)


def require_draft(quote: Quote) -> None:
    if quote.status != "draft":
        raise ConflictError(f"A quote that is {quote.status} cannot be changed.")


def duplicate_quote(connection: Connection, quote_id: UUID, template_name: str | None) -> Quote:
    """A new draft, or a template of that name, saying the same; its date is open."""
    draft = draft_of(repository.get(connection, quote_id).quote)
    copy = replace(
        draft,
        is_template=template_name is not None,
        template_name=template_name,
        valid_until=None,
    )
    return store(connection, copy, action="quote.duplicated", source=str(quote_id))


def decide(connection: Connection, quote_id: UUID, status: Status, note: str | None) -> Quote:
    """Record the client's answer, or that an accepted quote became a job; each once."""
    if repository.get(connection, quote_id, lock=True).quote.status == status:
        raise ConflictError(f"The quote is {status} already.")
    lifecycle.change_status(connection, [quote_id], status, note)
    audit.record(connection, f"quote.{status}", quote_id, {"note": note} if note else {})
    return repository.get(connection, quote_id).quote


@dataclass(frozen=True, slots=True)
class Validity:
    until: date
    expires_at: datetime


def validity(quote: Quote, company: Company, now: datetime) -> Validity:
    """Through which day a quote sent now holds; it expires when that day ends at the account's
    place."""
    zone = ZoneInfo(company.time_zone)
    today = now.astimezone(zone).date()
    until = quote.valid_until or today + timedelta(days=company.valid_days)
    if until < today:
        raise invalid("valid_until", "lies in the past")
    midnight = datetime.combine(until + timedelta(days=1), time(), zone)
    return Validity(until, midnight.astimezone(UTC))


def expire_quotes(connection: Connection, *, now: datetime, limit: int = 500) -> int:
    """Expire what is due in all accounts, for the service; how many."""
    expired: Sequence[tuple[UUID, UUID]] = lifecycle.expire(connection, now, limit)
    for account_id, quote_id in expired:
        audit.record_for(connection, account_id, "quote.expired", quote_id)
    return len(expired)
