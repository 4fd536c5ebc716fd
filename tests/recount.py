"""Reports' facts beside the quotes they are kept from, counted again without the triggers' help."""

from typing import Any, Final

QUOTES: Final = """
with stored as (
    select quote.account_id, quote.id as quote_id, quote.client_id,
        coalesce(quote.sent_at, quote.created_at) as counted_at, quote.decided_at,
        quote.is_template, quote.status, said.currency, coalesce(taken.total, said.total) as total,
        coalesce(taken.tax_amount, said.tax_amount) as tax_amount
    from app.quotes as quote
    join app.quote_versions as said
        on said.quote_id = quote.id and said.revision = quote.revision
    left join app.quote_acceptances as taken on taken.quote_id = quote.id
), facts as (
    select account_id, quote_id, client_id, counted_at, decided_at, is_template, status, currency,
        total, tax_amount
    from app.quote_facts
)
(select 'only stored', * from (select * from stored except select * from facts) as one)
union all
(select 'only a fact', * from (select * from facts except select * from stored) as other)
"""
# An item's share of an accepted quote; the shares of a quote add up to what was accepted of it.
ITEMS: Final = """
with stored as (
    select quote.id as quote_id, line.item_id, quote.decided_at, count(*)::int as lines
    from app.quotes as quote
    join app.quote_versions as said
        on said.quote_id = quote.id and said.revision = quote.revision
    left join app.quote_acceptances as taken on taken.quote_id = quote.id
    join app.quote_lines as line on line.version_id = said.id and (not line.optional or case
        when taken.id is null then line.selected else line.position = any(taken.selected) end)
    where quote.status in ('accepted', 'converted')
    group by quote.id, line.item_id
), facts as (
    select quote_id, item_id, decided_at, lines from app.item_facts
), shares as (
    select quote_id, sum(total) as total, sum(tax_amount) as tax_amount
    from app.item_facts group by quote_id
)
(select 'only stored', quote_id from (select * from stored except select * from facts) as one)
union all
(select 'only a fact', quote_id from (select * from facts except select * from stored) as other)
union all
select 'other sums', fact.quote_id from app.quote_facts as fact join shares using (quote_id)
where (fact.total, fact.tax_amount) <> (shares.total, shares.tax_amount)
"""


def differences(owner: Any) -> list[tuple[Any, ...]]:
    """Where reports would not say what is stored; none is right."""
    return [row for query in (QUOTES, ITEMS) for row in owner.execute(query).fetchall()]
